import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { inspect } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "#common/resilience/clock.ts";
import { Secret } from "#common/secret.ts";
import { ExecutionStatus } from "#proto/execution.ts";
import { renewCertificates } from "../../../cli/certificates/certs-directory.ts";
import { vaultSource } from "../../../services/secrets/sources/vault.ts";
import type { VaultSettings } from "../../../services/secrets/sources/vault-settings.ts";
import { startAirlock } from "../../harness/airlock.ts";
import { type OpenBao, openBaoMissing, ROOT_TOKEN, startOpenBao } from "../../harness/openbao.ts";
import { restClient } from "../../harness/rest.ts";
import { startServices, type TestServices } from "../../harness/services.ts";

const TOKEN = "erp-token-5be1a0-zzzz";
const missing = openBaoMissing();
let nowMs = 0;
const clock = { ...systemClock, monotonicMs: () => nowMs };

function settings(address: string, change: Partial<VaultSettings> = {}): VaultSettings {
  return {
    address,
    token: new Secret("AIRLOCK_VAULT_TOKEN", ROOT_TOKEN),
    namespace: undefined,
    caFile: undefined,
    cacheMs: 30_000,
    ...change,
  };
}

describe.skipIf(missing)(`a real vault${missing ? ` (${missing})` : ""}`, () => {
  let bao: OpenBao;
  let directory: string;
  const read = (location: string, change: Partial<VaultSettings> = {}) =>
    vaultSource(settings(bao.address, change), clock).read(location);
  const put = (path: string, data: Record<string, unknown>) =>
    bao.call("POST", `secret/data/${path}`, { data });

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "airlock-vault-"));
    bao = await startOpenBao();
    await put("erp/prod", { token: TOKEN, "odd name": "ünïcode\nline", port: 8200 });
  }, 60_000);
  afterAll(async () => {
    await bao.stop();
    await rm(directory, { recursive: true });
  });

  it("a real vault gives the fields of a secret, whatever their names", async () => {
    expect(await read("secret/erp/prod#token")).toBe(TOKEN);
    expect(await read("secret/erp/prod#odd name")).toBe("ünïcode\nline");
  });

  it.each([
    ["secret/erp/prod#absent", "no such field"],
    ["secret/erp/prod#port", "not a string"],
    ["secret/erp/none#token", "no secret at this path"],
    ["nomount/erp#token", "no secret at this path"],
    ["cubbyhole/erp#token", "no secret at this path"],
  ])("a real vault refuses %s with a permanent reason", async (location, reason) => {
    await expect(read(location)).rejects.toMatchObject({
      reason: expect.stringContaining(reason),
      isPassing: false,
    });
  });

  it("a real vault reports that a secret was deleted", async () => {
    await put("gone", { token: TOKEN });
    await bao.call("DELETE", "secret/data/gone");
    await expect(read("secret/gone#token")).rejects.toMatchObject({
      reason: "the secret in the vault was deleted",
    });
  });

  it("a real vault denies secrets that the token may not read, and no error shows the token", async () => {
    await bao.call("PUT", "sys/policies/acl/erp", {
      policy: 'path "secret/data/erp/*" { capabilities = ["read"] }',
    });
    const { auth } = (await bao.call("POST", "auth/token/create", { policies: ["erp"] })) as unknown as {
      auth: { client_token: string };
    };
    const token = new Secret("AIRLOCK_VAULT_TOKEN", auth.client_token);
    expect(await read("secret/erp/prod#token", { token })).toBe(TOKEN);
    const error = await read("secret/other#token", { token }).catch((thrown) => thrown);
    expect(error).toMatchObject({ reason: expect.stringContaining("denies permission"), isPassing: false });
    expect(inspect(error)).not.toContain(auth.client_token);
    await expect(read("secret/erp/prod#token", { token: new Secret("T", "wrong") })).rejects.toMatchObject({
      reason: expect.stringContaining("denies permission"),
    });
  });

  it("the token of a vault is taken from a file that is read anew", async () => {
    const file = join(directory, "token");
    await writeFile(file, "wrong-token\n");
    const source = vaultSource(settings(bao.address, { token: { file } }), clock);
    await expect(source.read("secret/erp/prod#token")).rejects.toThrow("denies permission");
    await writeFile(file, `${ROOT_TOKEN}\n`);
    expect(await source.read("secret/erp/prod#token")).toBe(TOKEN);
    await rm(file);
    await expect(read("secret/erp/prod#token", { token: { file } })).rejects.toThrow(
      "token file cannot be read",
    );
  });

  it("the token of a vault is waited for while its file is being written", async () => {
    const file = join(directory, "renewed-token");
    const source = vaultSource(settings(bao.address, { token: { file } }), systemClock);
    await writeFile(file, "");
    const reading = source.read("secret/erp/prod#token");
    await sleep(300);
    await writeFile(file, `${ROOT_TOKEN}\n`);
    expect(await reading).toBe(TOKEN);
  });

  it("a real vault is asked again after the cache time, and once for callers at the same time", async () => {
    const source = vaultSource(settings(bao.address), clock);
    await put("rotated", { a: "first-a", b: "first-b" });
    const both = await Promise.all([source.read("secret/rotated#a"), source.read("secret/rotated#b")]);
    expect(both).toEqual(["first-a", "first-b"]);
    await put("rotated", { a: "second-a", b: "second-b" });
    nowMs += 29_999;
    expect(await source.read("secret/rotated#a")).toBe("first-a");
    nowMs += 1;
    expect(await source.read("secret/rotated#a")).toBe("second-a");
    expect(await source.read("secret/rotated#b")).toBe("second-b");
  });

  it("a real vault serves ./airlock up, and its token appears nowhere", async () => {
    await put("up", { token: TOKEN });
    const airlock = await startAirlock({
      projects: { demo: 'secrets: {TOKEN: "${vault:secret/up#token}"}\n' },
      env: {
        AIRLOCK_VAULT_ADDR: bao.address,
        AIRLOCK_VAULT_TOKEN: ROOT_TOKEN,
        AIRLOCK_VAULT_CACHE_TTL: "100ms",
        AIRLOCK_LOG_LEVEL: "debug",
      },
    });
    try {
      const code =
        "import os; print(settings.get('TOKEN')); set_result([k for k in os.environ if 'VAULT' in k])";
      const rest = restClient(airlock.url);
      expect(await rest.run({ code })).toMatchObject({ stdout: "[REDACTED...zzzz]\n", result: [] });
      await put("up", { other: TOKEN });
      await expect
        .poll(async () => (await rest.run({ code })).error, { timeout: 10_000 })
        .toContain("TOKEN (a ${vault:} reference) cannot be used: the secret in the vault has no such field");
      expect(airlock.output()).not.toContain(ROOT_TOKEN);
      const files = await readdir(airlock.dataDirectory, { recursive: true, withFileTypes: true });
      for (const file of files.filter((each) => each.isFile() && !each.parentPath.includes("environments"))) {
        const bytes = await readFile(join(file.parentPath, file.name));
        for (const secret of [ROOT_TOKEN, TOKEN]) expect(bytes.includes(secret)).toBe(false);
      }
    } finally {
      await airlock.remove();
    }
  });

  describe("behind the services", () => {
    let services: TestServices;
    beforeEach(async () => {
      services = await startServices(
        { demo: 'secrets: {TOKEN: "${vault:secret/live#token}"}\n' },
        { vault: settings(bao.address, { cacheMs: 100 }) },
      );
    });
    afterEach(() => services.close());
    const run = async () => {
      const id = await services.submit({ code: "print(settings.get('TOKEN'), len(settings.get('TOKEN')))" });
      return (await services.get(id, 30_000)).stdout;
    };

    it("a rotation in a real vault reaches the next run, redacted", async () => {
      await put("live", { token: "the-first-token-aaaa" });
      expect(await run()).toBe("[REDACTED...aaaa] 20\n");
      await put("live", { token: "the-second-token-bbbb" });
      await expect.poll(run, { timeout: 10_000 }).toBe("[REDACTED...bbbb] 21\n");
    });

    it("an execution waits while its vault is sealed", async () => {
      await put("live", { token: "first-token-aaaa" });
      await bao.call("PUT", "sys/seal");
      const id = await services.submit({ code: "print(1)" });
      const { status } = await services.get(id, 1_500);
      expect(status).toBe(ExecutionStatus.PENDING);
      await expect(read("secret/live#token")).rejects.toMatchObject({
        reason: "the vault is sealed",
        isPassing: true,
      });
    });
  });
});

describe("a vault in trouble", () => {
  let server: Server | undefined;
  const answerWith = async (listener: RequestListener) => {
    server = createServer(listener);
    await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return vaultSource(settings(address), clock)
      .read("kv/a#b")
      .catch((thrown) => thrown);
  };
  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
  });

  it.each([
    [503, '{"errors":["Vault is sealed"]}', "sealed", true],
    [500, "oops", "status 500", true],
    [429, "{}", "not ready", true],
    [400, "{}", "status 400", false],
    [307, "", "status 307", false],
    [200, "not json", "not a secret of a KV version 2", false],
    [200, '{"data":{"b":"a KV version 1 value"}}', "not a secret of a KV version 2", false],
    [200, '{"data":{"data":null,"metadata":{}}}', "not a secret of a KV version 2", false],
  ])(
    "a vault that answers %i %j is told apart from other failures",
    async (status, body, reason, isPassing) => {
      const error = await answerWith((_request, response) => response.writeHead(status).end(body));
      expect(error).toMatchObject({ reason: expect.stringContaining(reason), isPassing });
    },
  );

  it("a vault that answers without end is cut off", async () => {
    const error = await answerWith((_request, response) => {
      const more = () => response.destroyed || response.write("x".repeat(65_536), () => setImmediate(more));
      more();
    });
    expect(error).toMatchObject({ reason: expect.stringContaining("larger than 2 MiB") });
  });

  it("a vault that never answers is given up", async () => {
    const started = Date.now();
    expect(await answerWith(() => undefined)).toMatchObject({
      reason: "the vault cannot be reached",
      isPassing: true,
    });
    expect(Date.now() - started).toBeLessThan(5_000);
  });

  it("a vault is trusted only with a certificate of a trusted authority", async () => {
    const directory = await mkdtemp(join(tmpdir(), "airlock-vault-tls-"));
    const renewal = { clients: [], days: 1, newAuthority: false, dropOldAuthorities: false, now: new Date() };
    await renewCertificates(directory, renewal);
    const own = join(directory, "secrets");
    const [cert, key] = await Promise.all(["cert.pem", "key.pem"].map((name) => readFile(join(own, name))));
    const body = JSON.stringify({ data: { data: { b: "over-tls" }, metadata: { version: 1 } } });
    const seen: unknown[] = [];
    const tls = createTlsServer({ cert, key }, (request, response) => {
      seen.push([request.url, request.headers["x-vault-token"], request.headers["x-vault-namespace"]]);
      response.end(body);
    });
    server = tls;
    await new Promise<void>((resolve) => tls.listen(0, "127.0.0.1", resolve));
    const address = `https://localhost:${(tls.address() as AddressInfo).port}/`.replace(/\/$/, "");
    await expect(vaultSource(settings(address), clock).read("kv/a#b")).rejects.toMatchObject({
      reason: expect.stringContaining("certificate is not trusted"),
      isPassing: false,
    });
    expect(seen).toEqual([]);
    const trusting = settings(address, { caFile: join(own, "ca.pem"), namespace: "team/a" });
    expect(await vaultSource(trusting, clock).read("kv/a b/c#b")).toBe("over-tls");
    expect(seen).toEqual([["/v1/kv/data/a%20b/c", ROOT_TOKEN, "team/a"]]);
    await rm(directory, { recursive: true });
  });

  it("a vault that cannot be reached is a passing failure", async () => {
    await expect(vaultSource(settings("http://127.0.0.1:1"), clock).read("kv/a#b")).rejects.toMatchObject({
      reason: "the vault cannot be reached",
      isPassing: true,
    });
  });
});

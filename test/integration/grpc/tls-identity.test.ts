import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { callUnary, connectTo } from "#common/grpc/client.ts";
import { createHealthCheck } from "#common/grpc/health.ts";
import { handlersFor, startGrpcServer } from "#common/grpc/server.ts";
import { identityOfCertificate, identityOfUri } from "#common/identity/identity.ts";
import { openTlsIdentity } from "#common/identity/tls-identity.ts";
import { ConfigError } from "#common/service/environment.ts";
import { createLog } from "#common/service/log.ts";
import { SecretsServiceClient, SecretsServiceService } from "#proto/secrets.ts";
import { type Renewal, renewCertificates } from "../../../cli/certificates/certs-directory.ts";
import { runAirlock } from "../../harness/airlock.ts";

const LOOK_EVERY_MS = 20;
const logged: string[] = [];
const log = createLog("test", "info", { write: (line) => void logged.push(line) });
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-certs-"));
  logged.length = 0;
});
afterEach(() => rm(directory, { recursive: true }));

const renew = (change: Partial<Renewal> = {}, into = directory) =>
  renewCertificates(into, {
    clients: [],
    days: 1,
    newAuthority: false,
    dropOldAuthorities: false,
    now: new Date(),
    ...change,
  });
const open = (service: "secrets" | "pool-manager" | "router") =>
  openTlsIdentity(join(directory, service), { kind: "service", name: service }, log, LOOK_EVERY_MS);
const authoritiesIn = async (service: string) =>
  (await readFile(join(directory, service, "ca.pem"), "utf8")).split("BEGIN CERTIFICATE").length - 1;

/** A secrets service and a way to call it on a fresh connection as the pool-manager. */
async function startPair() {
  const [serverTls, clientTls] = [await open("secrets"), await open("pool-manager")];
  const { unary } = handlersFor(log);
  const resolveSecrets = unary(() => ({ version: "v", secrets: [] }));
  const server = await startGrpcServer(
    "localhost:0",
    [[SecretsServiceService, { resolveSecrets }]],
    serverTls,
  );
  return {
    address: server.address,
    async call(tls = clientTls) {
      // A connection of its own, because the shared pool would not always make a new one.
      const options = { "grpc.use_local_subchannel_pool": 1 };
      const client = new SecretsServiceClient(server.address, tls.client("secrets"), options);
      try {
        const limits = { timeoutMs: 3_000 };
        return (await callUnary(client, client.resolveSecrets, { project: "p" }, "secrets", limits)).version;
      } finally {
        client.close();
      }
    },
    async stop() {
      await server.drain(0);
      serverTls.close();
      clientTls.close();
    },
  };
}

describe("renewed certificates", () => {
  it("renewed certificates are used without a restart, also through a change of the authority", async () => {
    await renew();
    const pair = await startPair();
    const steps: [string, Partial<Renewal>][] = [
      ["renewed", {}],
      ["a new authority is trusted", { newAuthority: true }],
      ["it issues", {}],
      ["the old one is dropped", { dropOldAuthorities: true }],
    ];
    let calls = 0;
    let over = false;
    const failures: unknown[] = [];
    const calling = (async () => {
      while (!over) {
        await pair.call().catch((error) => failures.push(error));
        calls++;
      }
    })();
    for (const [, step] of steps) {
      await sleep(LOOK_EVERY_MS * 5);
      await renew(step);
    }
    await sleep(LOOK_EVERY_MS * 10);
    await expect.poll(() => calls).toBeGreaterThan(10);
    over = true;
    await calling;
    expect(failures).toEqual([]);
    expect(await authoritiesIn("secrets")).toBe(1);
    await pair.stop();
  });

  it("certificates of an authority that was dropped open no connection any more", async () => {
    await renew();
    const kept = join(directory, "kept");
    await mkdir(kept);
    for (const name of ["ca.pem", "cert.pem", "key.pem"]) {
      await copyFile(join(directory, "pool-manager", name), join(kept, name));
    }
    await renew({ newAuthority: true });
    expect(await authoritiesIn("secrets")).toBe(2);
    await renew({ dropOldAuthorities: true });
    const pair = await startPair();
    expect(await pair.call()).toBe("v");
    const old = await openTlsIdentity(kept, { kind: "service", name: "pool-manager" }, log);
    await expect(pair.call(old)).rejects.toMatchObject({ code: "unavailable" });
    old.close();
    await pair.stop();
  });

  it("renewed certificates that are wrong are reported, and the earlier ones stay in use", async () => {
    await renew();
    const pair = await startPair();
    const key = join(directory, "secrets", "key.pem");
    await copyFile(join(directory, "router", "key.pem"), key);
    await expect.poll(() => logged.join("")).toContain("key.pem is not the key of cert.pem");
    expect(await pair.call()).toBe("v");
    await writeFile(key, "nothing");
    await expect.poll(() => logged.join("")).toContain("not PEM");
    await rm(key);
    await expect.poll(() => logged.join("")).toContain("no such file or directory");
    expect(await pair.call()).toBe("v");
    expect(logged.join("")).not.toContain("PRIVATE KEY");
    await pair.stop();
  });
});

describe("a service", () => {
  it("a service does not start with another's, an expired or no certificate", async () => {
    await renew();
    const opened = (from: string) =>
      openTlsIdentity(join(directory, from), { kind: "service", name: "secrets" }, log);
    await expect(opened("router")).rejects.toThrow(/cert.pem is not that of the secrets/);
    await expect(opened("nowhere")).rejects.toThrow(ConfigError);
    await renew({ now: new Date(Date.now() - 2 * 86_400_000) });
    await expect(opened("secrets")).rejects.toThrow(/expired/);
  });

  it("a service neither listens nor calls on a network without an identity", async () => {
    await expect(startGrpcServer("localhost:0", [])).rejects.toThrow(/AIRLOCK_TLS_DIR/);
    expect(() => connectTo(SecretsServiceClient, "secrets:7000")).toThrow(/AIRLOCK_TLS_DIR/);
  });

  it("a service does not talk to another service that took over an address", async () => {
    await renew();
    const impostor = await open("router");
    const { unary } = handlersFor(log);
    const resolveSecrets = unary(() => ({ version: "stolen", secrets: [] }));
    const server = await startGrpcServer(
      "localhost:0",
      [[SecretsServiceService, { resolveSecrets }]],
      impostor,
    );
    const tls = await open("pool-manager");
    const client = connectTo(SecretsServiceClient, server.address, tls);
    await expect(
      callUnary(client, client.resolveSecrets, { project: "p" }, "secrets", { timeoutMs: 3_000 }),
    ).rejects.toMatchObject({ code: "unavailable" });
    const health = createHealthCheck("secrets", server.address, tls);
    expect((await health.check()).ready).toBe(false);
    client.close();
    health.close();
    await server.drain(0);
    impostor.close();
    tls.close();
  });
});

describe("./airlock certs", () => {
  it("./airlock certs gives each service a directory of its own, with a key that only its owner reads", async () => {
    const target = join(directory, "made");
    const { status, stdout } = await runAirlock(["certs", target, "--client", "billing", "--days", "7"]);
    expect(status).toBe(0);
    expect(stdout).toContain("client-billing");
    for (const name of await readdir(target)) {
      expect((await stat(join(target, name))).mode & 0o777).toBe(0o700);
      for (const file of await readdir(join(target, name))) {
        const { mode } = await stat(join(target, name, file));
        if (file.endsWith("key.pem")) expect(mode & 0o777).toBe(0o600);
      }
      if (name === "ca") continue;
      const certificate = await readFile(join(target, name, "cert.pem"));
      expect(identityOfCertificate(certificate)).toEqual(
        name === "client-billing" ? { kind: "client", name: "billing" } : { kind: "service", name },
      );
    }
    const again = await runAirlock(["certs", target]);
    expect(again.stdout).toContain("client-billing");
  });

  it("./airlock certs says which step of a new authority it has done, and which is next", async () => {
    const target = join(directory, "made");
    const step = async (...flags: string[]) => (await runAirlock(["certs", target, ...flags])).stdout;
    expect(await step()).not.toContain("Step");
    expect(await step("--drop-old-ca")).toContain("There was no old authority to forget");
    const first = await step("--new-ca");
    expect(first).toContain("Step 1 of 3: every service trusts a new authority");
    expect(first).toMatch(/five seconds: \.\/airlock certs \S+made\n$/);
    expect(await step()).toMatch(/Step 2 of 3: the new authority issues.*\n.* --drop-old-ca\n$/);
    expect(await step("--drop-old-ca")).toMatch(/Step 3 of 3: the old authority is forgotten\.\n$/);
  });

  it.each([
    [["--days", "7"], "Usage"],
    [["DIR", "--days", "0"], "--days"],
    [["DIR", "--client", "../x"], "--client"],
    [["DIR", "--new-ca", "--drop-old-ca"], "two steps"],
    [["DIR", "--nonsense"], "nonsense"],
  ])("./airlock certs refuses %j", async (args, reason) => {
    const { status, stderr } = await runAirlock([
      "certs",
      ...args.map((arg) => (arg === "DIR" ? directory : arg)),
    ]);
    expect(status).toBe(2);
    expect(stderr).toContain(reason);
    expect(await readdir(directory)).toEqual([]);
  });
});

describe("a SPIFFE URI", () => {
  it.each([
    ["spiffe://airlock/router", { kind: "service", name: "router" }],
    ["spiffe://airlock/client/billing", { kind: "client", name: "billing" }],
    ["spiffe://airlock/Router", undefined],
    ["spiffe://airlock/router/", undefined],
    ["spiffe://airlock/router?x", undefined],
    ["spiffe://airlock/client/", undefined],
    ["spiffe://airlock/client/a/b", undefined],
    ["spiffe://airlock/client", undefined],
    ["spiffe://elsewhere/router", undefined],
    ["spiffe://airlock/toString", undefined],
    ["router", undefined],
  ])("the SPIFFE URI %s stands for %s", (uri, identity) => {
    expect(identityOfUri(uri)).toEqual(identity);
  });
});

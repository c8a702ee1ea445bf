import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Metadata } from "@grpc/grpc-js";
import { SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AirlockError } from "#common/errors.ts";
import { callUnary, connectTo } from "#common/grpc/client.ts";
import { fromGrpcError } from "#common/grpc/errors.ts";
import { openTlsIdentity } from "#common/identity/tls-identity.ts";
import { createLog } from "#common/service/log.ts";
import { PoolManagerServiceClient } from "#proto/pool_manager.ts";
import { ListExecutionsRequest, RouterServiceClient, SubmitRequest } from "#proto/router.ts";
import { startOpenIdProvider, type TestProvider } from "../../harness/openid-provider.ts";
import { startTlsServices, type TlsServices } from "../../harness/tls-services.ts";

const LIMITS = { timeoutMs: 10_000 };
const BILLING = "- {cert: billing, role: developer, tenant: default}";

const AUDIENCE = "https://airlock.example";

let provider: TestProvider;
let services: TlsServices;
const clients = new Map<string, { router: RouterServiceClient; poolManager: PoolManagerServiceClient }>();
const opened: { close(): void }[] = [];

async function open(name: string) {
  const log = createLog("test", "silent");
  const tls = await openTlsIdentity(
    join(services.certificates, `client-${name}`),
    { kind: "client", name },
    log,
  );
  const router = connectTo(RouterServiceClient, services.addresses.router, tls);
  const poolManager = connectTo(PoolManagerServiceClient, services.addresses["pool-manager"], tls);
  opened.push(router, poolManager, tls);
  clients.set(name, { router, poolManager });
}

const writeGrants = async (...lines: string[]) => {
  const path = join(services.directory, "grants.yaml");
  await writeFile(`${path}.draft`, `${lines.join("\n")}\n`);
  await rename(`${path}.draft`, path);
};

beforeAll(async () => {
  provider = await startOpenIdProvider();
  services = await startTlsServices({
    env: {
      AIRLOCK_AUTH: "required",
      AIRLOCK_OIDC_ISSUER: provider.issuer,
      AIRLOCK_OIDC_AUDIENCE: AUDIENCE,
    },
    grants: `${BILLING}\n`,
    clients: ["billing", "payroll"],
  });
  for (const name of ["billing", "payroll"]) await open(name);
}, 60_000);
afterAll(async () => {
  for (const each of opened) each.close();
  await services.stop();
  await provider.stop();
});

/** "ok", or the code and the message of the error. */
const told = (call: Promise<unknown>) =>
  call.then(
    () => "ok",
    (error: AirlockError) => `${error.code}: ${error.message}`,
  );
const router = (name: string) => clients.get(name)?.router as RouterServiceClient;
const list = (name: string) =>
  told(
    callUnary(
      router(name),
      router(name).listExecutions,
      ListExecutionsRequest.fromPartial({ limit: 1 }),
      "router",
      LIMITS,
    ),
  );
const projects = (name: string) => {
  const { poolManager } = clients.get(name) as { poolManager: PoolManagerServiceClient };
  return told(callUnary(poolManager, poolManager.listProjects, {}, "pool-manager", LIMITS));
};
/** Lists executions with the metadata that a program of the operator would send. */
const metadataOf = (entries: Record<string, string>) => {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(entries)) metadata.set(key, value);
  return metadata;
};
const listAs = (name: string, entries: Record<string, string>) =>
  told(
    new Promise((resolve, reject) => {
      const metadata = metadataOf(entries);
      const request = ListExecutionsRequest.fromPartial({ limit: 1 });
      router(name).listExecutions(request, metadata, (error, response) =>
        error ? reject(fromGrpcError(error, "router")) : resolve(response),
      );
    }),
  );

describe("a client certificate where credentials are demanded", () => {
  it("a client certificate with a grant has the role of its grant, at the router and at the pool-manager", async () => {
    const submit = SubmitRequest.fromPartial({ project: "demo", code: "pass" });
    expect(await told(callUnary(router("billing"), router("billing").submit, submit, "router", LIMITS))).toBe(
      "ok",
    );
    expect(await projects("billing")).toBe("ok");
    const { poolManager } = clients.get("billing") as { poolManager: PoolManagerServiceClient };
    const up = callUnary(poolManager, poolManager.downProject, { name: "demo" }, "pool-manager", LIMITS);
    expect(await told(up)).toMatch(/^permission_denied: You are cert:billing with the role developer/);
  });

  it("a client certificate without a grant may do nothing, and is told so", async () => {
    for (const call of [list, projects])
      expect(await call("payroll")).toMatch(/^no_grant: You are cert:payroll, and no grant says/);
  });

  it("a client certificate obeys a changed grant within two seconds, at both services", async () => {
    await writeGrants("- {cert: payroll, role: observer}");
    for (const call of [list, projects]) {
      await expect.poll(() => call("payroll"), { timeout: 5_000 }).toBe("ok");
      await expect.poll(() => call("billing"), { timeout: 5_000 }).toMatch(/^no_grant/);
    }
    await writeGrants(BILLING);
    for (const call of [list, projects])
      await expect.poll(() => call("billing"), { timeout: 5_000 }).toBe("ok");
  });

  it("a client certificate with grants in several tenants names one in airlock-tenant", async () => {
    await writeGrants(BILLING, "- {cert: billing, role: observer, tenant: acme}");
    await expect.poll(() => list("billing"), { timeout: 5_000 }).toMatch(/^tenant_required: .*acme, default/);
    expect(await listAs("billing", { "airlock-tenant": "default" })).toBe("ok");
    expect(await listAs("billing", { "airlock-tenant": "acme" })).toBe("ok");
    expect(await listAs("billing", { "airlock-tenant": "other" })).toMatch(/^no_grant/);
    expect(await listAs("billing", { "airlock-tenant": "no tenant" })).toMatch(/^invalid_request/);
    await writeGrants(BILLING);
    await expect.poll(() => list("billing"), { timeout: 5_000 }).toBe("ok");
  });

  it("a client's token of a real OpenID provider says who calls, in place of its certificate", async () => {
    await writeGrants(BILLING, `- {issuer: "${provider.issuer}", sub: reports, role: observer}`);
    const token = await provider.token(AUDIENCE);
    await expect.poll(() => listAs("payroll", { authorization: `Bearer ${token}` })).toBe("ok");
    const submit = SubmitRequest.fromPartial({ project: "demo", code: "pass" });
    const metadata = metadataOf({ authorization: `Bearer ${token}` });
    const submitted = new Promise((resolve, reject) => {
      router("billing").submit(submit, metadata, (error, response) =>
        error ? reject(fromGrpcError(error, "router")) : resolve(response),
      );
    });
    expect(await told(submitted)).toMatch(
      `permission_denied: You are jwt:${provider.issuer}#reports with the role observer`,
    );
    expect(await listAs("payroll", {})).toMatch(/^no_grant/);
  });

  it("a client's token that is wrong is refused, whatever its certificate may do", async () => {
    const token = await provider.token(AUDIENCE);
    const now = Math.floor(Date.now() / 1_000);
    const claims = { iss: provider.issuer, aud: AUDIENCE, sub: "reports", iat: now, exp: now + 60 };
    const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString("base64url");
    const cases: readonly (readonly [string, string])[] = [
      ["garbage", "neither an API key"],
      [`${encode({ alg: "none" })}.${encode(claims)}.`, "not signed with an algorithm"],
      [`${token.slice(0, -4)}AAAA`, "signature"],
      [await provider.token("https://other.example"), "another audience"],
      [
        await new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).sign(Buffer.alloc(32, 7)),
        "not signed with an algorithm",
      ],
    ];
    for (const [credential, words] of cases) {
      const refused = await listAs("billing", { authorization: `Bearer ${credential}` });
      expect(refused).toMatch(/^unauthenticated: /);
      expect(refused).toContain(words);
    }
    for (const authorization of ["Basic YTpi", "Bearer", `Bearer ${"a".repeat(8_193)}`])
      expect(await listAs("billing", { authorization })).toMatch(/^unauthenticated: The metadata/);
    expect(await listAs("billing", {})).toBe("ok");
  });

  it("a client certificate that is known goes on while the authority is away, and others are told to try again", async () => {
    for (const call of [list, projects]) expect(await call("billing")).toBe("ok");
    await services.stopService("authority");
    try {
      for (const call of [list, projects]) {
        expect(await call("billing")).toBe("ok");
        expect(await call("payroll")).toMatch(/^unavailable: .*authority does not answer/);
      }
    } finally {
      await services.startService("authority");
    }
    await expect.poll(() => list("payroll")).toMatch(/^no_grant/);
  });
});

import { createHmac } from "node:crypto";
import type { Client } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { callUnary, connectTo } from "#common/grpc/client.ts";
import { signPass } from "#common/grpc/pass.ts";
import type { ServiceIdentity } from "#common/identity/identity.ts";
import { openTlsIdentity } from "#common/identity/tls-identity.ts";
import { createLog } from "#common/service/log.ts";
import { AuthorityServiceClient } from "#proto/authority.ts";
import { PoolManagerServiceClient } from "#proto/pool_manager.ts";
import { RouterServiceClient } from "#proto/router.ts";
import { makePassKey } from "../../harness/passes.ts";
import { principal } from "../../harness/principals.ts";
import { startTlsServices, type TlsServices } from "../../harness/tls-services.ts";

// The tests play a broken gateway or router: they have its real certificate, and every pass that it was shown.
const ADMIN = principal("key:admin", "admin");
const MINUTE_MS = 60_000;
let services: TlsServices;
const opened: { close(): void }[] = [];

beforeAll(async () => {
  services = await startTlsServices();
}, 60_000);
afterAll(async () => {
  for (const each of opened) each.close();
  await services.stop();
});

/** Calls of a service that has the certificate of `name`. */
async function as(name: ServiceIdentity) {
  const log = createLog("test", "silent");
  const tls = await openTlsIdentity(`${services.certificates}/${name}`, { kind: "service", name }, log);
  const open = <C extends Client>(client: C): C => {
    opened.push(client);
    return client;
  };
  const router = open(connectTo(RouterServiceClient, services.addresses.router, tls));
  const pools = open(connectTo(PoolManagerServiceClient, services.addresses["pool-manager"], tls));
  const authority = open(connectTo(AuthorityServiceClient, services.addresses.authority, tls));
  opened.push(tls);
  const limits = (pass?: string) => ({ timeoutMs: 10_000, pass });
  return {
    atRouter: (pass?: string) => callUnary(router, router.listHeldProjects, {}, "router", limits(pass)),
    atPools: (pass?: string) => callUnary(pools, pools.listProjects, {}, "pool-manager", limits(pass)),
    projectAtPools: (pass?: string) =>
      callUnary(pools, pools.getProject, { name: "demo" }, "pool-manager", limits(pass)),
    atAuthority: (pass?: string) => callUnary(authority, authority.listKeys, {}, "authority", limits(pass)),
    authenticate: (audiences: string[]) =>
      callUnary(
        authority,
        authority.authenticate,
        { credential: "", tenant: "", audiences },
        "authority",
        limits(),
      ),
  };
}

const REFUSED = { code: "permission_denied" };

describe("a broken gateway", () => {
  it("a broken gateway gets from the authority one pass for each service, and uses none at another", async () => {
    const gateway = await as("gateway");
    const { passes, principal: who } = await gateway.authenticate(["router", "pool-manager", "authority"]);
    const [forRouter, forPools, forAuthority] = passes.map(({ text }) => text) as [string, string, string];
    expect(who?.id).toBe("system:local");
    await gateway.atRouter(forRouter);
    await gateway.atPools(forPools);
    await gateway.atAuthority(forAuthority);
    for (const refused of [
      () => gateway.atRouter(forPools),
      () => gateway.atRouter(forAuthority),
      () => gateway.atPools(forRouter),
      () => gateway.atAuthority(forRouter),
    ])
      await expect(refused()).rejects.toMatchObject({
        ...REFUSED,
        message: expect.stringContaining("its claim aud is refused"),
      });
  });

  it("a broken gateway does nothing for a principal without a pass", async () => {
    const gateway = await as("gateway");
    for (const call of [gateway.atRouter, gateway.atPools, gateway.atAuthority])
      await expect(call()).rejects.toMatchObject({
        ...REFUSED,
        message: expect.stringContaining("must present a pass"),
      });
    await expect(gateway.authenticate(["nowhere"])).rejects.toMatchObject({ code: "invalid_request" });
  });

  it("a broken gateway uses no pass that has expired, that is from the future, or that is for another presenter", async () => {
    const gateway = await as("gateway");
    const signed = (presenter: ServiceIdentity, agoMs: number) =>
      services.passFor(ADMIN, "router", presenter, Date.now() - agoMs);
    await gateway.atRouter(await signed("gateway", 4 * MINUTE_MS));
    await expect(gateway.atRouter(await signed("gateway", 6 * MINUTE_MS))).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("has expired"),
    });
    await expect(gateway.atRouter(await signed("gateway", -MINUTE_MS))).rejects.toMatchObject(REFUSED);
    const other = await signed("router", 0);
    // The second time the router knows the pass.
    for (let n = 0; n < 2; n++)
      await expect(gateway.atRouter(other)).rejects.toMatchObject({
        ...REFUSED,
        message: expect.stringContaining("not for the gateway to present"),
      });
  });

  it("a broken gateway makes no pass of its own, and changes none", async () => {
    const gateway = await as("gateway");
    const good = await services.passFor(principal("key:eve", "observer"), "router");
    const [head, body, signature] = good.split(".") as [string, string, string];
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const header = JSON.parse(Buffer.from(head, "base64url").toString());
    const claims = JSON.parse(Buffer.from(body, "base64url").toString());
    const other = await services.passFor(ADMIN, "router");
    const hs256 = `${part({ ...header, alg: "HS256" })}.${body}`;
    const mac = createHmac("sha256", header.kid).update(hs256).digest("base64url");
    const own = await makePassKey();
    const use = { audience: "router", presenter: "gateway" } as const;
    const forged = {
      "another principal": `${head}.${other.split(".")[1]}.${signature}`,
      "a longer life": `${head}.${part({ ...claims, exp: claims.exp + 3_600 })}.${signature}`,
      "no signature": `${head}.${body}.`,
      "alg none": `${part({ ...header, alg: "none" })}.${body}.`,
      "alg HS256": `${hs256}.${mac}`,
      "another type": `${part({ ...header, typ: "JWT" })}.${body}.${signature}`,
      "a key of its own": await signPass(ADMIN, use, own, Date.now()),
      "the id of the authority's key": await signPass(ADMIN, use, { ...own, id: header.kid }, Date.now()),
      "no token": "alk_something",
      "an empty text": "",
    };
    for (const [what, pass] of Object.entries(forged))
      await expect(gateway.atRouter(pass), what).rejects.toMatchObject(REFUSED);
    await gateway.atRouter(good);
  });
});

describe("a broken router", () => {
  it("a broken router uses no pass that it was shown, at any service, and gets none from the authority", async () => {
    const router = await as("router");
    const shown = await services.passFor(ADMIN, "router");
    for (const call of [router.atRouter, router.atPools, router.projectAtPools, router.atAuthority])
      await expect(call(shown)).rejects.toMatchObject(REFUSED);
    await expect(router.projectAtPools(await services.passFor(ADMIN, "pool-manager"))).rejects.toMatchObject({
      ...REFUSED,
      message: expect.stringContaining("not for the router to present"),
    });
    await expect(router.authenticate(["pool-manager"])).rejects.toMatchObject(REFUSED);
    await expect(router.atPools()).rejects.toMatchObject(REFUSED);
    // Its own work needs no pass: it asks for a project before it takes a submission.
    expect((await router.projectAtPools()).project?.name).toBe("demo");
  });
});

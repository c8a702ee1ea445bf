import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { callUnary, connectTo } from "#common/grpc/client.ts";
import { openEdges } from "#common/grpc/edges.ts";
import { mergeDependencies } from "#common/grpc/readiness.ts";
import { type GrpcServer, startGrpcServer } from "#common/grpc/server.ts";
import type { ServiceIdentity } from "#common/identity/identity.ts";
import { openTlsIdentity, type TlsIdentity } from "#common/identity/tls-identity.ts";
import { PoolManagerServiceClient } from "#proto/pool_manager.ts";
import { ReadinessServiceClient } from "#proto/readiness.ts";
import { RouterServiceClient } from "#proto/router.ts";
import { SecretsServiceClient } from "#proto/secrets.ts";
import { principal } from "../../harness/principals.ts";
import { startTlsServices, type TlsServices } from "../../harness/tls-services.ts";

const log = pino({ level: "silent" });
const is = (name: string, ready = true) => ({
  name,
  ready,
  detail: ready ? "" : expect.stringMatching(/\w+ .*\.$/),
});

describe("the readiness of each service", () => {
  let services: TlsServices;
  let gateway: TlsIdentity;
  beforeAll(async () => {
    services = await startTlsServices();
    gateway = await openTlsIdentity(
      join(services.certificates, "gateway"),
      { kind: "service", name: "gateway" },
      log,
    );
  }, 60_000);
  afterAll(async () => {
    gateway.close();
    await services.stop();
  });

  it.each([
    ["router", ["pool-manager", "sanitizer", "egress", "authority", "database"]],
    ["pool-manager", ["secrets", "authority"]],
    ["sanitizer", ["secrets"]],
    ["egress", ["secrets"]],
    ["secrets", []],
    ["authority", ["database"]],
  ] as const)("the readiness of the %s depends on %j", async (service, names) => {
    const client = connectTo(ReadinessServiceClient, services.addresses[service], gateway, service);
    try {
      const answer = await callUnary(client, client.getReadiness, {}, service, { timeoutMs: 5_000 });
      expect(answer.dependencies).toEqual(names.map((name) => is(name)));
    } finally {
      client.close();
    }
  });

  it("the earlier readiness RPCs of router and pool-manager give the same answer", async () => {
    const router = connectTo(RouterServiceClient, services.addresses.router, gateway);
    const pool = connectTo(PoolManagerServiceClient, services.addresses["pool-manager"], gateway);
    try {
      const passFor = async (service: "router" | "pool-manager") => ({
        timeoutMs: 5_000,
        pass: await services.passFor(principal("key:admin", "admin"), service),
      });
      const ofRouter = await callUnary(
        router,
        router.getRouterReadiness,
        {},
        "router",
        await passFor("router"),
      );
      expect(ofRouter.dependencies).toHaveLength(5);
      const ofPool = await callUnary(
        pool,
        pool.getPoolManagerReadiness,
        {},
        "pool-manager",
        await passFor("pool-manager"),
      );
      expect(ofPool.dependencies).toEqual([is("secrets"), is("authority")]);
    } finally {
      router.close();
      pool.close();
    }
  });
});

describe("the edges of a service", () => {
  let directory: string;
  let router: GrpcServer;
  let poolManager: GrpcServer;
  const at = (service: string) => `unix:${join(directory, `${service}.sock`)}`;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "airlock-edges-"));
    router = await startGrpcServer(at("router"), [], undefined, async () => [
      { name: "database", ready: true, detail: "" },
      { name: "secrets", ready: false, detail: "The secrets service is stopping." },
    ]);
    poolManager = await startGrpcServer(at("pool-manager"), [], undefined, async () => [
      { name: "secrets", ready: true, detail: "" },
    ]);
  });
  afterAll(async () => {
    for (const server of [router, poolManager]) await server.drain(0);
    await rm(directory, { recursive: true });
  });

  it("the edges of a service report which services serve, and what these depend on", async () => {
    const edges = await openEdges("gateway", {}, log);
    edges.connectTo(RouterServiceClient, at("router"));
    edges.connectTo(PoolManagerServiceClient, at("pool-manager"));
    edges.connectTo(SecretsServiceClient, at("nobody"));
    try {
      expect(await edges.readiness()).toEqual([is("router"), is("pool-manager"), is("secrets", false)]);
      expect(await edges.deepReadiness()).toEqual([
        is("router"),
        is("database"),
        { name: "secrets", ready: false, detail: "The secrets service is stopping." },
        is("pool-manager"),
      ]);
      expect(await edges.health("router")).toEqual(is("router"));
      await expect(edges.health("sanitizer")).rejects.toThrow("no edge to the sanitizer");
    } finally {
      edges.close();
    }
  });

  it("the edges of a service accept a service without a ReadinessService by its health service's answer", async () => {
    const earlier = new Server();
    new HealthImplementation({ "": "SERVING" }).addToServer(earlier);
    const bind = (done: () => void) =>
      earlier.bindAsync(at("earlier"), ServerCredentials.createInsecure(), done);
    await new Promise<void>(bind);
    const edges = await openEdges("gateway", {}, log);
    edges.connectTo(RouterServiceClient, at("earlier"));
    try {
      expect(await edges.deepReadiness()).toEqual([is("router")]);
    } finally {
      edges.close();
      earlier.forceShutdown();
    }
  });
});

it("the first answer that a service is not ready counts, when several services report on it", () => {
  const word = (name: ServiceIdentity, detail = "") => ({ name, ready: detail === "", detail });
  const all = [word("secrets"), word("secrets", "one"), word("secrets", "two"), word("egress")];
  expect(mergeDependencies(all)).toEqual([word("secrets", "one"), word("egress")]);
});

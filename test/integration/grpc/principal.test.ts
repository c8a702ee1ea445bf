import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  Metadata,
  type ServiceDefinition,
  type ServiceError,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CallLimits, callStream, callUnary, clientDuplex, connectTo } from "#common/grpc/client.ts";
import { openEdges } from "#common/grpc/edges.ts";
import { metadataFor } from "#common/grpc/principal.ts";
import { type CallContext, type GrpcServer, handlersFor, startGrpcServer } from "#common/grpc/server.ts";
import type { Identity, ServiceIdentity } from "#common/identity/identity.ts";
import type { Principal } from "#common/identity/principal.ts";
import { openTlsIdentity, type TlsIdentity } from "#common/identity/tls-identity.ts";
import { PoolManagerServiceClient, PoolManagerServiceService } from "#proto/pool_manager.ts";
import { RouterServiceClient, RouterServiceService, SubmitRequest } from "#proto/router.ts";
import { connectBackends } from "../../../gateway/backends/grpc/backends.ts";
import { openTestAuthority, type TestAuthority } from "../../harness/passes.ts";
import { makeCertificates } from "../../harness/tls-services.ts";

const LIMITS = { timeoutMs: 5_000 };
const ALICE: Principal = {
  id: "jwt:https://issuer#alice",
  kind: "human",
  tenant: "acme",
  role: "developer",
  maker: "key:ops",
  within: ["operator", "admin"],
};
const SYSTEM: Principal = { id: "system:airlock", kind: "service", tenant: "default", role: "admin" };
const log = pino({ level: "silent" });

let directory: string;
let seen: Pick<CallContext, "caller" | "principal"> | undefined;
let authority: TestAuthority;
let onNetwork: { router: GrpcServer; poolManager: GrpcServer };
let onSocket: GrpcServer;
const opened: { close(): void }[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-principal-"));
  await makeCertificates(directory);
  const { unary, serverStream, duplex } = handlersFor(log);
  const note = ({ caller, principal }: CallContext) => {
    seen = { caller, principal };
  };
  const listHeldProjects = unary((_request, context) => {
    note(context);
    return { projects: [] };
  });
  const readExecution = serverStream(async function* (_request, context) {
    note(context);
    yield { part: undefined };
  });
  const lease = duplex(async (stream, context) => {
    note(context);
    await stream.next();
  });
  const listProjects = unary((_request, context) => {
    note(context);
    return { projects: [] };
  });
  const router = [RouterServiceService, { listHeldProjects, readExecution }] as const;
  authority = await openTestAuthority(directory);
  onNetwork = {
    router: await startOnNetwork("router", router as never),
    poolManager: await startOnNetwork("pool-manager", [PoolManagerServiceService, { lease, listProjects }]),
  };
  onSocket = await startGrpcServer(`unix:${join(directory, "router.sock")}`, [router as never]);
});
afterAll(async () => {
  for (const each of opened) each.close();
  for (const server of [onNetwork.router, onNetwork.poolManager, onSocket]) await server.drain(0);
  await authority.close();
  await rm(directory, { recursive: true });
});

async function startOnNetwork(
  name: ServiceIdentity,
  ...services: Parameters<typeof startGrpcServer>[1]
): Promise<GrpcServer> {
  return await startGrpcServer(
    "127.0.0.1:0",
    services,
    await tlsOf(name),
    undefined,
    authority.checkFor(name),
  );
}

async function tlsOf(service: ServiceIdentity): Promise<TlsIdentity> {
  return await open(service, { kind: "service", name: service });
}

async function open(folder: string, identity: Identity): Promise<TlsIdentity> {
  const tls = await openTlsIdentity(join(directory, folder), identity, log);
  opened.push(tls);
  return tls;
}

async function routerAs(folder: string, identity: Identity): Promise<RouterServiceClient> {
  const client = connectTo(
    RouterServiceClient,
    onNetwork.router.address,
    await open(folder, identity),
    "router",
  );
  opened.push(client);
  return client;
}

/** The context that the handler saw of a successful call. */
async function seenOf(client: RouterServiceClient, who: Pick<CallLimits, "principal" | "pass"> = {}) {
  seen = undefined;
  await callUnary(client, client.listHeldProjects, {}, "router", { ...LIMITS, ...who });
  return seen;
}

describe("on a network, a handler", () => {
  it("a handler on a network sees a client by the name in its certificate, and takes it for the principal", async () => {
    const billing = await routerAs("client-billing", { kind: "client", name: "billing" });
    expect(await seenOf(billing)).toEqual({
      caller: { kind: "client", name: "billing" },
      principal: { id: "cert:billing", kind: "service", tenant: "default", role: "admin" },
    });
  });

  it("a handler on a network sees the principal in the gateway's pass, on a unary call and on a stream", async () => {
    const gateway = await routerAs("gateway", { kind: "service", name: "gateway" });
    const pass = await authority.passFor(ALICE, "router");
    const expected = { caller: { kind: "service", name: "gateway" }, principal: ALICE };
    expect(await seenOf(gateway, { pass })).toEqual(expected);
    seen = undefined;
    const limits = { ...LIMITS, pass };
    for await (const _ of callStream(gateway, gateway.readExecution, { executionId: "" }, "router", limits));
    expect(seen).toEqual(expected);
  });

  it("a handler on a network is not called by the gateway that presents no pass, or names a principal itself", async () => {
    const gateway = await routerAs("gateway", { kind: "service", name: "gateway" });
    const refused = { code: "permission_denied", message: expect.stringContaining("pass of the authority") };
    await expect(seenOf(gateway)).rejects.toMatchObject(refused);
    await expect(seenOf(gateway, { principal: ALICE })).rejects.toMatchObject({ code: "permission_denied" });
    expect(seen).toBeUndefined();
  });

  it("a handler on a network is not called by a client that presents the gateway's pass", async () => {
    const billing = await routerAs("client-billing", { kind: "client", name: "billing" });
    const pass = await authority.passFor(ALICE, "router");
    await expect(seenOf(billing, { pass })).rejects.toMatchObject({
      code: "permission_denied",
      message: expect.stringContaining("airlock-pass"),
    });
    expect(seen).toBeUndefined();
  });

  it("a handler on a network is not called by a client that names a principal", async () => {
    const billing = await routerAs("client-billing", { kind: "client", name: "billing" });
    seen = undefined;
    const call = callUnary(billing, billing.listHeldProjects, {}, "router", { ...LIMITS, principal: ALICE });
    await expect(call).rejects.toMatchObject({
      code: "permission_denied",
      message: expect.stringContaining("airlock-principal-bin"),
    });
    const limits = { ...LIMITS, principal: ALICE };
    const stream = callStream(billing, billing.readExecution, { executionId: "" }, "router", limits);
    await expect(stream.next()).rejects.toMatchObject({ code: "permission_denied" });
    expect(seen).toBeUndefined();
  });

  it("a handler on a network is not called by a service other than the gateway that names a principal", async () => {
    const router = await tlsOf("router");
    const client = connectTo(PoolManagerServiceClient, onNetwork.poolManager.address, router);
    opened.push(client);
    seen = undefined;
    const claimed = clientDuplex(client.lease(metadataFor(ALICE)), "pool-manager");
    await expect(claimed.next()).rejects.toMatchObject({ code: "permission_denied" });
    expect(seen).toBeUndefined();
    const own = clientDuplex(client.lease(), "pool-manager");
    own.close();
    await own.next();
    expect(seen).toEqual({ caller: { kind: "service", name: "router" }, principal: SYSTEM });
  });
});

describe("the gateway", () => {
  it("the gateway says for whom a request is on every call that it makes for the request", async () => {
    const principals: [string, Principal][] = [];
    const routerOnly = await startOnNetwork("router", [
      RouterServiceService,
      recording(RouterServiceService, principals),
    ]);
    const poolManagerOnly = await startOnNetwork("pool-manager", [
      PoolManagerServiceService,
      recording(PoolManagerServiceService, principals),
    ]);
    const addresses = {
      routerAddress: routerOnly.address,
      poolManagerAddress: poolManagerOnly.address,
      authorityAddress: poolManagerOnly.address,
    };
    const backends = connectBackends(
      addresses,
      await openEdges("gateway", { tlsDirectory: join(directory, "gateway") }, log),
    );
    // A role that may make every call, because the handlers get only permitted ones.
    const admin = { ...ALICE, role: "admin", within: [] } as const;
    const call = {
      principal: admin,
      passes: {
        router: await authority.passFor(admin, "router"),
        "pool-manager": await authority.passFor(admin, "pool-manager"),
      },
      signal: AbortSignal.timeout(10_000),
    } as const;
    const executionId = "1b4c74f6-863c-4c58-bb94-c8898baae39b";
    const page = { project: "", limit: 1, cursor: "" };
    try {
      // Each answer is an empty message, with which not every call can do something.
      await Promise.allSettled([
        backends.router.submit(SubmitRequest.create(), call),
        backends.router.getExecution(executionId, 0, call, async () => undefined),
        backends.router.listExecutions({ ...page, status: 0 }, call),
        backends.router.respond({ executionId, response: "" }, call),
        backends.router.cancel(executionId, call),
        backends.router.getRedactions(executionId, call),
        backends.router.listDeadLetters(page, call),
        backends.router.retryDeadLetter({ executionId, again: false }, call),
        backends.router.listHeldProjects(call),
        backends.router.holdProject("p", call),
        backends.router.releaseProject("p", call),
        backends.poolManager.listProjects(call),
        backends.poolManager.getProject("p", call),
        backends.poolManager.upProject("p", 1, call),
        backends.poolManager.downProject("p", call),
      ]);
    } finally {
      backends.close();
      await routerOnly.drain(0);
      await poolManagerOnly.drain(0);
    }
    expect(principals.filter(([, { id }]) => id !== ALICE.id)).toEqual([]);
    expect([...new Set(principals.map(([path]) => path.split("/")[2]))].sort()).toEqual([
      "Cancel",
      "DownProject",
      "GetExecution",
      "GetProject",
      "GetRedactions",
      "HoldProject",
      "ListDeadLetters",
      "ListExecutions",
      "ListHeldProjects",
      "ListProjects",
      "ReadExecution",
      "ReleaseProject",
      "Respond",
      "RetryDeadLetter",
      "Submit",
      "UpProject",
    ]);
  });
});

/** A service whose calls note their principal and answer with an empty message. */
function recording(definition: ServiceDefinition, principals: [string, Principal][]) {
  const { unary, serverStream } = handlersFor(log);
  return Object.fromEntries(
    Object.entries(definition).map(([name, { path, responseStream, responseDeserialize }]) => {
      const answer = (_request: unknown, { principal }: CallContext) => {
        principals.push([path, principal]);
        return responseDeserialize(Buffer.alloc(0));
      };
      const answers = async function* (request: unknown, context: CallContext) {
        yield answer(request, context);
      };
      return [name, responseStream ? serverStream(answers) : unary(answer)];
    }),
  ) as UntypedServiceImplementation;
}

describe("on a Unix socket, a handler", () => {
  const router = () => {
    const client = connectTo(RouterServiceClient, onSocket.address);
    opened.push(client);
    return client;
  };

  it("a handler on a Unix socket sees the user of this deployment, who is the principal", async () => {
    expect(await seenOf(router())).toEqual({
      caller: { kind: "local" },
      principal: { id: "system:local", kind: "human", tenant: "default", role: "admin" },
    });
  });

  it("a handler on a Unix socket sees the principal that the gateway of the embedded default names", async () => {
    expect(await seenOf(router(), { principal: ALICE })).toEqual({
      caller: { kind: "local" },
      principal: ALICE,
    });
  });

  const sentFor = (who: Principal) => metadataFor(who).get("airlock-principal-bin")[0] as Buffer;

  it.each([
    ["no message", [Buffer.from([0xff, 0xff])]],
    ["an empty one", [Buffer.alloc(0)]],
    ["one without a tenant", [Buffer.from("\x0a\x01x\x10\x01", "latin1")]],
    ["one with an id that is too long to be stored", [sentFor({ ...ALICE, id: "ü".repeat(600) })]],
    ["one with a tenant that has a space", [sentFor({ ...ALICE, tenant: "acme key:ops" })]],
    ["one with a maker that no database can store", [sentFor({ ...ALICE, maker: "key:\0" })]],
    ["two of them", [1, 2].map(() => metadataFor(ALICE).get("airlock-principal-bin")[0] as Buffer)],
  ])("a handler on a Unix socket gets no call whose principal is %s", async (_name, values) => {
    const metadata = new Metadata();
    for (const value of values) metadata.add("airlock-principal-bin", value);
    const client = router();
    seen = undefined;
    const error = await new Promise<ServiceError | null>((resolve) =>
      client.listHeldProjects({}, metadata, { deadline: Date.now() + 5_000 }, resolve),
    );
    expect(error?.metadata.get("airlock-code")).toEqual(["invalid_request"]);
    expect(seen).toBeUndefined();
  });
});

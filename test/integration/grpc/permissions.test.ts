import { credentials } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AirlockError } from "#common/errors.ts";
import { callStream, callUnary, connectTo } from "#common/grpc/client.ts";
import { RULES } from "#common/identity/authorization.ts";
import type { ServiceIdentity } from "#common/identity/identity.ts";
import type { Principal } from "#common/identity/principal.ts";
import { PERMISSIONS, ROLES, type Role } from "#common/identity/roles.ts";
import { openTlsIdentity } from "#common/identity/tls-identity.ts";
import { createLog } from "#common/service/log.ts";
import { AuthorityServiceClient, CreateGrantRequest, CreateKeyRequest } from "#proto/authority.ts";
import { PoolManagerServiceClient } from "#proto/pool_manager.ts";
import { RouterServiceClient, SubmitRequest } from "#proto/router.ts";
import { principal } from "../../harness/principals.ts";
import { RPCS } from "../../harness/rpcs.ts";
import { startServices, type TestServices } from "../../harness/services.ts";
import { startTlsServices, type TlsServices } from "../../harness/tls-services.ts";

const ALL = ["admin", "operator", "developer", "observer"] as const;
const RUN = ["admin", "operator", "developer"] as const;
const WATCH = ["admin", "operator", "observer"] as const;
const OPERATE = ["admin", "operator"] as const;

/** The roles that may make each call of the services that principals reach, as the design has them. */
const MAY: Readonly<Record<string, readonly Role[]>> = {
  "RouterService/Submit": RUN,
  "RouterService/GetExecution": ALL,
  "RouterService/ReadExecution": ALL,
  "RouterService/ListExecutions": ALL,
  "RouterService/Respond": RUN,
  "RouterService/Cancel": RUN,
  "RouterService/GetRedactions": WATCH,
  "RouterService/ListDeadLetters": WATCH,
  "RouterService/RetryDeadLetter": OPERATE,
  "RouterService/HoldProject": OPERATE,
  "RouterService/ReleaseProject": OPERATE,
  "RouterService/ListHeldProjects": ALL,
  "RouterService/GetRouterReadiness": ALL,
  "PoolManagerService/ListProjects": ALL,
  "PoolManagerService/GetProject": ALL,
  "PoolManagerService/UpProject": OPERATE,
  "PoolManagerService/DownProject": OPERATE,
  "PoolManagerService/GetPoolManagerReadiness": ALL,
  "AuthorityService/CreateSession": ALL,
  "AuthorityService/EndSession": ALL,
  "AuthorityService/CreateKey": RUN,
  "AuthorityService/ListKeys": RUN,
  "AuthorityService/RevokeKey": ALL,
  "AuthorityService/CreateGrant": ["admin"],
  "AuthorityService/ListGrants": ["admin"],
  "AuthorityService/DeleteGrant": ["admin"],
  "AuthorityService/ListPrincipals": ["admin"],
  "AuthorityService/UpdatePrincipal": ["admin"],
};
/** The calls that the gateway makes to learn who the principal is. */
const BEFORE_A_PRINCIPAL = ["Authenticate", "WatchChanges", "CountRequests", "BeginLogin", "FinishLogin"].map(
  (rpc) => `AuthorityService/${rpc}`,
);
const UNKNOWN = "0198c0de-0000-7000-8000-00000000000f";

type Clients = {
  readonly router: RouterServiceClient;
  readonly poolManager: PoolManagerServiceClient;
  readonly authority: AuthorityServiceClient;
  /** Undefined where services believe the gateway without a pass. */
  readonly passFor?: TlsServices["passFor"];
};

/** Makes a call that changes nothing, whether or not it is permitted. Resolves to its error. */
async function make(rpc: string, { router, poolManager, authority, passFor }: Clients, who?: Principal) {
  const owner = RULES[`/airlock.v1.${rpc}`]?.service as ServiceIdentity;
  const pass = who && (await passFor?.(who, owner));
  const limits = { timeoutMs: 10_000, ...(who && { principal: who }), pass };
  const toRouter = <Req, Res>(method: Parameters<typeof callUnary<Req, Res>>[1], request: Req) =>
    callUnary(router, method, request, "router", limits);
  const toPools = <Req, Res>(method: Parameters<typeof callUnary<Req, Res>>[1], request: Req) =>
    callUnary(poolManager, method, request, "pool-manager", limits);
  const toAuthority = <Req, Res>(method: Parameters<typeof callUnary<Req, Res>>[1], request: Req) =>
    callUnary(authority, method, request, "authority", limits);
  const executionId = UNKNOWN;
  const page = { project: "", limit: 1, cursor: "" };
  const calls: Record<string, () => Promise<unknown>> = {
    "RouterService/Submit": () =>
      toRouter(router.submit, SubmitRequest.fromPartial({ project: "none", code: "1" })),
    "RouterService/GetExecution": () =>
      toRouter(router.getExecution, { executionId, waitMs: 0, maxBytes: 0 }),
    "RouterService/ReadExecution": async () => {
      for await (const _ of callStream(router, router.readExecution, { executionId }, "router", limits));
    },
    "RouterService/ListExecutions": () => toRouter(router.listExecutions, { ...page, status: 0 }),
    "RouterService/Respond": () => toRouter(router.respond, { executionId, response: "" }),
    "RouterService/Cancel": () => toRouter(router.cancel, { executionId }),
    "RouterService/GetRedactions": () => toRouter(router.getRedactions, { executionId }),
    "RouterService/ListDeadLetters": () => toRouter(router.listDeadLetters, page),
    "RouterService/RetryDeadLetter": () => toRouter(router.retryDeadLetter, { executionId, again: false }),
    "RouterService/HoldProject": () => toRouter(router.holdProject, { project: "none" }),
    "RouterService/ReleaseProject": () => toRouter(router.releaseProject, { project: "none" }),
    "RouterService/ListHeldProjects": () => toRouter(router.listHeldProjects, {}),
    "RouterService/GetRouterReadiness": () => toRouter(router.getRouterReadiness, {}),
    "PoolManagerService/ListProjects": () => toPools(poolManager.listProjects, {}),
    "PoolManagerService/GetProject": () => toPools(poolManager.getProject, { name: "none" }),
    "PoolManagerService/UpProject": () => toPools(poolManager.upProject, { name: "none" }),
    "PoolManagerService/DownProject": () => toPools(poolManager.downProject, { name: "none" }),
    "PoolManagerService/GetPoolManagerReadiness": () => toPools(poolManager.getPoolManagerReadiness, {}),
    "AuthorityService/CreateSession": () => toAuthority(authority.createSession, { key: "none" }),
    "AuthorityService/EndSession": () => toAuthority(authority.endSession, { session: "none" }),
    "AuthorityService/CreateKey": () =>
      toAuthority(authority.createKey, CreateKeyRequest.fromPartial({ name: "Not a name" })),
    "AuthorityService/ListKeys": () => toAuthority(authority.listKeys, {}),
    "AuthorityService/RevokeKey": () => toAuthority(authority.revokeKey, { keyId: "none" }),
    "AuthorityService/CreateGrant": () =>
      toAuthority(authority.createGrant, CreateGrantRequest.fromPartial({ cert: "Not a name" })),
    "AuthorityService/ListGrants": () => toAuthority(authority.listGrants, {}),
    "AuthorityService/DeleteGrant": () => toAuthority(authority.deleteGrant, { grantId: "none" }),
    "AuthorityService/ListPrincipals": () => toAuthority(authority.listPrincipals, {}),
    "AuthorityService/UpdatePrincipal": () =>
      toAuthority(authority.updatePrincipal, { id: "key:none", disabled: true }),
  };
  const call = calls[rpc];
  if (!call) throw new Error(`the test does not make ${rpc}`);
  return await call().then(
    () => undefined,
    (error: unknown) => error as AirlockError,
  );
}

let services: TestServices;
let onNetwork: TlsServices;
const transports: Record<string, Clients> = {};
const opened: { close(): void }[] = [];
const open = <C extends { close(): void }>(client: C): C => {
  opened.push(client);
  return client;
};
beforeAll(async () => {
  services = await startServices({ demo: "replicas: 1\n" });
  const [router, poolManager, authority] = ["router", "pool-manager", "authority"].map(services.address) as [
    string,
    string,
    string,
  ];
  transports["in this process"] = {
    router: open(connectTo(RouterServiceClient, router)),
    poolManager: open(connectTo(PoolManagerServiceClient, poolManager)),
    authority: open(connectTo(AuthorityServiceClient, authority)),
  };
  // Without Airlock's own channel, which hands calls over in the process.
  transports["over a Unix socket"] = {
    router: open(new RouterServiceClient(router, credentials.createInsecure())),
    poolManager: open(new PoolManagerServiceClient(poolManager, credentials.createInsecure())),
    authority: open(new AuthorityServiceClient(authority, credentials.createInsecure())),
  };
  onNetwork = await startTlsServices();
  const identity = { kind: "service", name: "gateway" } as const;
  const log = createLog("test", "silent");
  const tls = await openTlsIdentity(`${onNetwork.certificates}/gateway`, identity, log);
  transports["over a network"] = {
    router: open(connectTo(RouterServiceClient, onNetwork.addresses.router, tls)),
    poolManager: open(connectTo(PoolManagerServiceClient, onNetwork.addresses["pool-manager"], tls)),
    authority: open(connectTo(AuthorityServiceClient, onNetwork.addresses.authority, tls)),
    passFor: onNetwork.passFor,
  };
  opened.push(tls);
}, 60_000);
afterAll(async () => {
  for (const each of opened) each.close();
  await services.close();
  await onNetwork.stop();
});

describe("the table of permissions", () => {
  const shortName = (path: string) => path.replace("/airlock.v1.", "");

  it("every RPC that principals reach needs a permission, and every RPC among services says that it needs none", () => {
    const reached = Object.entries(RULES).filter(([, { service }]) =>
      ["router", "pool-manager", "authority"].includes(service),
    );
    const withPermission = Object.entries(RULES).filter(([, { permission }]) => permission !== "none");
    expect(withPermission.map(([path]) => shortName(path)).sort()).toEqual(Object.keys(MAY).sort());
    for (const [path, { callers, permission }] of reached) {
      const isReached = callers.includes("gateway") || callers.includes("client");
      const forPrincipals = isReached && !BEFORE_A_PRINCIPAL.includes(shortName(path));
      expect([path, permission !== "none"]).toEqual([path, forPrincipals]);
    }
    const known = RPCS.map(({ path }) => path);
    for (const [path, { permission }] of Object.entries(RULES)) {
      expect(known).toContain(path);
      if (permission !== "none") expect(Object.keys(PERMISSIONS)).toContain(permission);
    }
  });

  it("the table of permissions and the roles that the design names for each RPC are the same", () => {
    for (const [rpc, roles] of Object.entries(MAY)) {
      const permission = RULES[`/airlock.v1.${rpc}`]?.permission;
      if (permission === undefined || permission === "none") throw new Error(`${rpc} has no permission`);
      expect([rpc, PERMISSIONS[permission].roles]).toEqual([rpc, roles]);
    }
  });
});

describe.each(["in this process", "over a Unix socket", "over a network"])("calls %s", (transport) => {
  it.each(Object.entries(MAY))(
    `%s ${transport} is refused to principals whose role lacks its permission`,
    async (rpc, allowed) => {
      for (const role of ROLES) {
        const clients = transports[transport] as Clients;
        const error = await make(rpc, clients, principal(`key:${role}`, role));
        if (allowed.includes(role)) expect([role, error?.code]).not.toEqual([role, "permission_denied"]);
        else {
          const permission = RULES[`/airlock.v1.${rpc}`]?.permission;
          expect([role, error?.code]).toEqual([role, "permission_denied"]);
          expect(error?.message).toContain(`You are key:${role} with the role ${role}, and`);
          expect(error?.message).toContain(
            `needs the permission ${permission}, which the roles ${allowed.join(", ")} have`,
          );
        }
      }
    },
  );

  it(`a key ${transport} has no permission that the role of one of its makers lacks`, async () => {
    const key = principal("key:ci", "operator", { maker: "key:dev", within: ["developer", "admin"] });
    const clients = transports[transport] as Clients;
    for (const rpc of ["RouterService/HoldProject", "PoolManagerService/DownProject"]) {
      const error = await make(rpc, clients, key);
      expect(error).toMatchObject({
        code: "permission_denied",
        message: expect.stringContaining(
          "key:ci with the role operator, limited by its maker's role developer",
        ),
      });
    }
    expect(await make("RouterService/ListExecutions", clients, key)).toBeUndefined();
  });

  it(`a call ${transport} that names no principal ${transport === "over a network" ? "is refused" : "may do everything, as before"}`, async () => {
    const refused = [];
    for (const rpc of Object.keys(MAY)) {
      const error = await make(rpc, transports[transport] as Clients);
      if (error?.code === "permission_denied") refused.push(rpc);
    }
    expect(refused).toEqual(transport === "over a network" ? Object.keys(MAY) : []);
  });
});

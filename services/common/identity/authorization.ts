import type { Identity, ServiceIdentity } from "./identity.ts";

/**
 * A caller in the table of rules: a service of Airlock, or "client" for every program of the operator that
 * has a client certificate, whatever the name in it.
 */
type AllowedCaller = ServiceIdentity | "client";

type Rule = {
  /** The service that answers the call; "every" is each service except the worker. */
  readonly service: ServiceIdentity | "every";
  /** The callers that may make the call. */
  readonly callers: readonly AllowedCaller[];
};

/**
 * The callers that may make each RPC. An RPC that is not in this table is refused to every caller. The worker
 * is written in Python: it reads its own rows from supervisor/callers.py, which `./airlock generate` writes
 * from this table.
 */
export const RULES: Readonly<Record<string, Rule>> = {
  ...rules("router", "RouterService", {
    Submit: ["gateway", "client"],
    GetExecution: ["gateway", "client"],
    ReadExecution: ["gateway", "client"],
    ListExecutions: ["gateway", "client"],
    Respond: ["gateway", "client"],
    Cancel: ["gateway", "client"],
    GetRedactions: ["gateway", "client"],
    ListDeadLetters: ["gateway", "client"],
    RetryDeadLetter: ["gateway", "client"],
    HoldProject: ["gateway", "client"],
    ReleaseProject: ["gateway", "client"],
    ListHeldProjects: ["gateway", "client"],
    GetRouterReadiness: ["gateway", "client"],
  }),
  ...rules("pool-manager", "PoolManagerService", {
    ListProjects: ["gateway", "client"],
    GetProject: ["gateway", "client", "router"],
    UpProject: ["gateway", "client"],
    DownProject: ["gateway", "client"],
    GetWaiting: ["router"],
    // Only the router may ask for a lease, because only the router may run scripts on a worker.
    Lease: ["router"],
    GetPoolManagerReadiness: ["gateway", "client"],
  }),
  ...rules("secrets", "SecretsService", {
    ResolveSecrets: ["pool-manager"],
    ResolveNeedles: ["sanitizer"],
    ResolveBrokered: ["egress"],
    CheckSecrets: ["pool-manager"],
  }),
  ...rules("sanitizer", "SanitizerService", { Sanitize: ["router"] }),
  ...rules("egress", "EgressService", {
    HoldRoute: ["router"],
  }),
  ...rules("every", "ReadinessService", { GetReadiness: ["gateway", "client"] }),
  ...rules("worker", "WorkerService", {
    Provision: ["pool-manager"],
    WatchStatus: ["pool-manager"],
    Run: ["router"],
    Tunnel: ["egress"],
  }),
};

const FOR_EVERY_IDENTITY = /^\/grpc\.(health\.v1\.Health|reflection\.v1(alpha)?\.ServerReflection)\//;

/**
 * Whether `caller` may make the RPC with this path. Every caller with an identity may use the standard health
 * and reflection services.
 */
export function mayCall(caller: Identity, path: string): boolean {
  if (FOR_EVERY_IDENTITY.test(path)) return true;
  const allowed = caller.kind === "client" ? "client" : caller.name;
  return Object.hasOwn(RULES, path) && RULES[path]?.callers.includes(allowed) === true;
}

/**
 * The Airlock service that answers the calls of a gRPC service. Undefined when the table has no such gRPC
 * service, or when several answer it.
 */
export function ownerOf(serviceName: string): ServiceIdentity | undefined {
  const rule = Object.entries(RULES).find(([path]) => path.startsWith(`/${serviceName}/`))?.[1];
  return rule?.service === "every" ? undefined : rule?.service;
}

function rules(
  service: Rule["service"],
  name: string,
  callersOf: Readonly<Record<string, readonly AllowedCaller[]>>,
): Record<string, Rule> {
  return Object.fromEntries(
    Object.entries(callersOf).map(([rpc, callers]) => [`/airlock.v1.${name}/${rpc}`, { service, callers }]),
  );
}

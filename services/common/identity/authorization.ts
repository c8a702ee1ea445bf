import type { Identity, ServiceIdentity } from "./identity.ts";

/** Who may call: a service, or every internal system, whatever its name. */
type AllowedCaller = ServiceIdentity | "client";

type Rule = {
  /** Who answers; "every": each service but the worker. */
  readonly service: ServiceIdentity | "every";
  /** Who may call. */
  readonly callers: readonly AllowedCaller[];
};

/**
 * Who may call what, for every RPC there is; what is not here is refused to everybody. The worker, which is Python,
 * reads its own rows from supervisor/callers.py, which ./airlock generate makes from this table.
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
    // A lease is of use only to whoever may run something on the worker.
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

/** Whether `caller` may call the RPC with this path. Everybody with an identity may ask how a service is and what it offers. */
export function mayCall(caller: Identity, path: string): boolean {
  if (FOR_EVERY_IDENTITY.test(path)) return true;
  const allowed = caller.kind === "client" ? "client" : caller.name;
  return Object.hasOwn(RULES, path) && RULES[path]?.callers.includes(allowed) === true;
}

/** Who answers the calls of this gRPC service; undefined when the table does not know it, or several answer it. */
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

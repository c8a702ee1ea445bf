import type { Identity, ServiceIdentity } from "./identity.ts";
import { has, type Permission, type Standing } from "./roles.ts";

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
  /**
   * The permission that the call's principal needs. "none": services make the call for their own work, and no
   * principal reaches it.
   */
  readonly permission: Permission | "none";
  /**
   * The services that may make the call for their own work, for no principal. Undefined where each caller calls
   * for a principal, which a service proves by a pass.
   */
  readonly ownWork?: readonly ServiceIdentity[];
};

type Row = Omit<Rule, "service">;

// The services that programs of the operator call for principals; they ask the authority what a certificate may do.
const CALLED_BY_CLIENTS = ["router", "pool-manager"] as const;

/**
 * The callers that may make each RPC, and the permission that its principal needs. An RPC that is not in this
 * table is refused to every caller. The worker is written in Python: it reads its own rows from
 * supervisor/callers.py, which `./airlock generate` writes from this table.
 */
export const RULES: Readonly<Record<string, Rule>> = {
  ...rules("router", "RouterService", {
    Submit: forPrincipals("execution.submit"),
    // The router itself asks for execution.read_all and its like, where an execution is not the principal's own.
    GetExecution: forPrincipals("execution.read"),
    ReadExecution: forPrincipals("execution.read"),
    ListExecutions: forPrincipals("execution.read"),
    Respond: forPrincipals("execution.respond"),
    Cancel: forPrincipals("execution.cancel"),
    GetRedactions: forPrincipals("redaction.read"),
    ListDeadLetters: forPrincipals("dead_letter.read"),
    RetryDeadLetter: forPrincipals("dead_letter.retry"),
    HoldProject: forPrincipals("project.scale"),
    ReleaseProject: forPrincipals("project.scale"),
    ListHeldProjects: forPrincipals("project.read"),
    GetRouterReadiness: forPrincipals("project.read"),
  }),
  ...rules("pool-manager", "PoolManagerService", {
    ListProjects: forPrincipals("project.read"),
    GetProject: forPrincipals("project.read", "router"),
    UpProject: forPrincipals("project.scale"),
    DownProject: forPrincipals("project.scale"),
    GetWaiting: forServices("router"),
    // Only the router may ask for a lease, because only the router may run scripts on a worker.
    Lease: forServices("router"),
    GetPoolManagerReadiness: forPrincipals("project.read"),
  }),
  ...rules("secrets", "SecretsService", {
    ResolveSecrets: forServices("pool-manager"),
    ResolveNeedles: forServices("sanitizer"),
    ResolveBrokered: forServices("egress"),
    CheckSecrets: forServices("pool-manager"),
  }),
  ...rules("sanitizer", "SanitizerService", { Sanitize: forServices("router") }),
  ...rules("egress", "EgressService", {
    HoldRoute: forServices("router"),
  }),
  ...rules("authority", "AuthorityService", {
    // The gateway asks before it knows the principal.
    Authenticate: forServices("gateway"),
    WatchChanges: forServices("gateway", ...CALLED_BY_CLIENTS),
    ResolveClient: forServices(...CALLED_BY_CLIENTS),
    // Before the permission is looked at, and for clients without a credential too.
    CountRequests: forServices("gateway"),
    // Before there is a principal.
    BeginLogin: forServices("gateway"),
    FinishLogin: forServices("gateway"),
    CreateSession: forGateway("execution.read"),
    EndSession: forGateway("execution.read"),
    ListPassKeys: forServices("router", "pool-manager"),
    CreateKey: forGateway("key.manage"),
    ListKeys: forGateway("key.manage"),
    // A key that was lost may be revoked with the key itself, whatever its role is.
    RevokeKey: forGateway("execution.read"),
    CreateGrant: forGateway("grant.manage"),
    ListGrants: forGateway("grant.manage"),
    DeleteGrant: forGateway("grant.manage"),
    ListPrincipals: forGateway("principal.manage"),
    UpdatePrincipal: forGateway("principal.manage"),
  }),
  // The gateway asks for its own work, whoever its client is.
  ...rules("every", "ReadinessService", { GetReadiness: forServices("gateway", "client") }),
  ...rules("worker", "WorkerService", {
    Provision: forServices("pool-manager"),
    WatchStatus: forServices("pool-manager"),
    Run: forServices("router"),
    Tunnel: forServices("egress"),
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
 * The permission that the RPC with this path needs and that the principal lacks; undefined when the principal
 * may make the call. Undefined also for an RPC that is not in the table, because `mayCall` refuses it to every
 * caller on a network.
 */
export function missingPermission(principal: Standing, path: string): Permission | undefined {
  const permission = Object.hasOwn(RULES, path) ? RULES[path]?.permission : undefined;
  if (permission === undefined || permission === "none" || has(principal, permission)) return undefined;
  return permission;
}

/** Whether the RPC with this path needs a permission of its principal. False for one that is not in the table. */
export function needsPermission(path: string): boolean {
  return Object.hasOwn(RULES, path) && RULES[path]?.permission !== "none";
}

/**
 * Whether `service` may make the RPC with this path for its own work, without a pass. False for an RPC that is
 * not in the table.
 */
export function mayCallForItself(service: ServiceIdentity, path: string): boolean {
  const rule = Object.hasOwn(RULES, path) ? RULES[path] : undefined;
  return rule?.permission === "none" || rule?.ownWork?.includes(service) === true;
}

/**
 * The Airlock service that answers the calls of a gRPC service. Undefined when the table has no such gRPC
 * service, or when several answer it.
 */
export function ownerOf(serviceName: string): ServiceIdentity | undefined {
  const rule = Object.entries(RULES).find(([path]) => path.startsWith(`/${serviceName}/`))?.[1];
  return rule?.service === "every" ? undefined : rule?.service;
}

/**
 * A row for an RPC that the gateway and programs of the operator call for principals, and other `services` for
 * their own work.
 */
function forPrincipals(permission: Permission, ...services: readonly ServiceIdentity[]): Row {
  return { callers: ["gateway", "client", ...services], permission, ownWork: services };
}

/** A row for an RPC that the gateway alone calls for principals. */
function forGateway(permission: Permission): Row {
  return { callers: ["gateway"], permission };
}

/** A row for an RPC that needs no permission of a principal, because its callers call it for their own work. */
function forServices(...callers: readonly AllowedCaller[]): Row {
  return { callers, permission: "none" };
}

function rules(
  service: Rule["service"],
  name: string,
  rows: Readonly<Record<string, Row>>,
): Record<string, Rule> {
  return Object.fromEntries(
    Object.entries(rows).map(([rpc, row]) => [`/airlock.v1.${name}/${rpc}`, { service, ...row }]),
  );
}

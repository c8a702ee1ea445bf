import { Metadata } from "@grpc/grpc-js";
import { PrincipalKind, Principal as PrincipalMessage, Role } from "#proto/principal.ts";
import { AirlockError } from "../errors.ts";
import { mayCallForItself } from "../identity/authorization.ts";
import type { Caller } from "../identity/identity.ts";
import {
  LOCAL_PRINCIPAL,
  type Principal,
  principalOfClient,
  SYSTEM_PRINCIPAL,
  TENANT,
} from "../identity/principal.ts";
import type { PrincipalKind as PrincipalKindName, Role as RoleName } from "../identity/roles.ts";

// The gRPC metadata key under which a call on a Unix socket names its principal, the client on whose behalf the
// call is made. Only this file reads and writes the metadata of principals.
const PRINCIPAL_KEY = "airlock-principal-bin";
// The gRPC metadata key of the pass that proves on a network for which principal a service calls.
const PASS_KEY = "airlock-pass";

// The principals of calls whose pass, or whose client's grants, were checked. By the metadata object itself, so that no metadata that a
// caller sends can stand for a checked pass.
const passed = new WeakMap<Metadata, Principal>();

const KINDS = {
  human: PrincipalKind.HUMAN,
  agent: PrincipalKind.AGENT,
  service: PrincipalKind.SERVICE,
} as const satisfies Record<PrincipalKindName, PrincipalKind>;

const ROLES = {
  admin: Role.ADMIN,
  operator: Role.OPERATOR,
  developer: Role.DEVELOPER,
  observer: Role.OBSERVER,
  anonymous: Role.ANONYMOUS,
} as const satisfies Record<RoleName, Role>;

/**
 * The gRPC metadata of a call that is made for `principal`, or with a pass, which names the principal itself.
 * Empty when both are undefined: the server then takes the caller itself as the principal.
 */
export function metadataFor(principal?: Principal, pass?: string): Metadata {
  const metadata = new Metadata();
  if (pass !== undefined) metadata.set(PASS_KEY, pass);
  else if (principal) metadata.set(PRINCIPAL_KEY, principalToBytes(principal));
  return metadata;
}

/** The pass that a call presents; undefined when it presents none. Throws for several. */
export function passIn(metadata: Metadata): string | undefined {
  const [text, ...more] = metadata.get(PASS_KEY);
  if (more.length > 0)
    throw new AirlockError("permission_denied", "The call has several passes. Present one.");
  return text === undefined ? undefined : String(text);
}

/** Says for whom the call with this metadata is made, because its pass, or the grants of its client, were checked. */
export function rememberPassed(metadata: Metadata, principal: Principal): void {
  passed.set(metadata, principal);
}

/** The bytes of the message for a principal. */
export function principalToBytes(principal: Principal): Buffer {
  return Buffer.from(PrincipalMessage.encode(principalToProto(principal)).finish());
}

/** The principal in the bytes of its message; undefined when they are not one that `principalFromProto` takes. */
export function principalFromBytes(bytes: Uint8Array): Principal | undefined {
  try {
    return principalFromProto(PrincipalMessage.decode(bytes));
  } catch {
    return undefined;
  }
}

/** The message for a principal. */
export function principalToProto({
  id,
  kind,
  tenant,
  role,
  maker = "",
  within = [],
  projects = [],
}: Principal): PrincipalMessage {
  return {
    id,
    kind: kindToProto(kind),
    tenant,
    role: roleToProto(role),
    maker,
    within: within.map(roleToProto),
    projects: [...projects],
  };
}

// The most bytes of a principal's id and of its maker's id. Each is a part of an index of the router's tables,
// and PostgreSQL takes at most 2.7 KB for an entry.
const MAX_ID_BYTES = 1_024;

/**
 * The principal in a message. Undefined when the message lacks an id, a tenant, a kind or a role, has an
 * unknown one, or has an id or a tenant that cannot be stored.
 */
export function principalFromProto(message: PrincipalMessage): Principal | undefined {
  const kind = kindFromProto(message.kind);
  const role = roleFromProto(message.role);
  const { id, tenant, maker } = message;
  const within = message.within.map(roleFromProto);
  if (!kind || !role || id === "" || !TENANT.test(tenant) || within.includes(undefined)) return undefined;
  if ([id, maker].some((each) => Buffer.byteLength(each) > MAX_ID_BYTES || each.includes("\0")))
    return undefined;
  return {
    id,
    kind,
    tenant,
    role,
    ...(maker !== "" && { maker }),
    ...(within.length > 0 && { within: within as RoleName[] }),
    ...(message.projects.length > 0 && { projects: message.projects }),
  };
}

/**
 * The principal for whom `caller` makes the call of the RPC `path`. A process on a Unix socket may name one; on a
 * network a client of the operator is its own principal, and a service needs a pass, unless it may make the call
 * for its own work. Throws `permission_denied` for every other call, because it would otherwise be done, and
 * recorded, for the wrong principal. Throws `invalid_request` when the metadata cannot be read.
 */
export function principalOf(caller: Caller, metadata: Metadata, path: string): Principal {
  const named = metadata.get(PRINCIPAL_KEY);
  if (caller.kind === "local") return named.length === 0 ? LOCAL_PRINCIPAL : namedPrincipal(named);
  if (named.length > 0) {
    throw new AirlockError(
      "permission_denied",
      "On a network the caller's identity may not call for another principal. Call without airlock-principal-bin.",
    );
  }
  if (caller.kind === "client") {
    // Without grants to look at, a client of the operator may do everything, as with AIRLOCK_AUTH=off.
    if (passIn(metadata) === undefined) return passed.get(metadata) ?? principalOfClient(caller.name);
    throw new AirlockError(
      "permission_denied",
      "Only services of Airlock present passes. Call without airlock-pass; your certificate says who you are.",
    );
  }
  const principal = passed.get(metadata);
  if (principal) return principal;
  if (mayCallForItself(caller.name, path)) return SYSTEM_PRINCIPAL;
  throw new AirlockError(
    "permission_denied",
    `The ${caller.name} must present a pass of the authority for this call, which is made for a principal.`,
  );
}

function namedPrincipal(named: readonly unknown[]): Principal {
  const [bytes] = named;
  const principal = named.length === 1 && Buffer.isBuffer(bytes) ? principalFromBytes(bytes) : undefined;
  if (principal) return principal;
  throw new AirlockError("invalid_request", "airlock-principal-bin must be one airlock.v1.Principal.");
}

/** The message's word for a kind. */
export function kindToProto(kind: PrincipalKindName): PrincipalKind {
  return KINDS[kind];
}

/** The kind in a message. Undefined for an unspecified or unknown one. */
export function kindFromProto(kind: PrincipalKind): PrincipalKindName | undefined {
  return nameIn(KINDS, kind);
}

/** The message's word for a role. */
export function roleToProto(role: RoleName): Role {
  return ROLES[role];
}

/** The role in a message. Undefined for an unspecified or unknown one. */
export function roleFromProto(role: Role): RoleName | undefined {
  return nameIn(ROLES, role);
}

function nameIn<Name extends string, Value>(
  values: Readonly<Record<Name, Value>>,
  value: Value,
): Name | undefined {
  return (Object.keys(values) as Name[]).find((name) => values[name] === value);
}

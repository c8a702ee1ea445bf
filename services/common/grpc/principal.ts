import { Metadata } from "@grpc/grpc-js";
import { PrincipalKind, Principal as PrincipalMessage, Role } from "#proto/principal.ts";
import { AirlockError } from "../errors.ts";
import type { Caller, ServiceIdentity } from "../identity/identity.ts";
import {
  LOCAL_PRINCIPAL,
  type Principal,
  principalOfClient,
  SYSTEM_PRINCIPAL,
  TENANT,
} from "../identity/principal.ts";
import type { PrincipalKind as PrincipalKindName, Role as RoleName } from "../identity/roles.ts";

// The gRPC metadata key under which a call names its principal, the client on whose behalf the call is made.
// Only this file reads and writes that metadata.
const PRINCIPAL_KEY = "airlock-principal-bin";

/**
 * The services that may name a principal for the calls that they make, because they authenticate the clients
 * on whose behalf they call.
 */
const NAMES_PRINCIPALS: ReadonlySet<ServiceIdentity> = new Set(["gateway"]);

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
 * The gRPC metadata of a call that is made for `principal`. Empty when `principal` is undefined: the server
 * then takes the caller itself as the principal.
 */
export function metadataFor(principal?: Principal): Metadata {
  const metadata = new Metadata();
  if (!principal) return metadata;
  metadata.set(PRINCIPAL_KEY, Buffer.from(PrincipalMessage.encode(principalToProto(principal)).finish()));
  return metadata;
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
 * The principal for whom `caller` makes a call with this metadata. Throws `permission_denied` when the caller
 * may not name a principal, because the call would otherwise be done, and recorded, for the wrong principal.
 * Throws `invalid_request` when the metadata cannot be read.
 */
export function principalOf(caller: Caller, metadata: Metadata): Principal {
  const sent = metadata.get(PRINCIPAL_KEY);
  if (sent.length === 0) return ownPrincipal(caller);
  if (!mayNamePrincipals(caller)) {
    throw new AirlockError(
      "permission_denied",
      "The caller's identity may not call for another principal. Call without airlock-principal-bin.",
    );
  }
  const principal = sent.length === 1 ? readPrincipal(sent[0]) : undefined;
  if (!principal) {
    throw new AirlockError("invalid_request", "airlock-principal-bin must be one airlock.v1.Principal.");
  }
  return principal;
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

function ownPrincipal(caller: Caller): Principal {
  switch (caller.kind) {
    case "client":
      return principalOfClient(caller.name);
    case "local":
      return LOCAL_PRINCIPAL;
    case "service":
      return SYSTEM_PRINCIPAL;
  }
}

/**
 * Whether the caller may name a principal: the gateway may, and every process on a Unix socket. On a socket
 * the gateway cannot be told apart from other processes of the same user.
 */
function mayNamePrincipals(caller: Caller): boolean {
  return caller.kind === "local" || (caller.kind === "service" && NAMES_PRINCIPALS.has(caller.name));
}

function readPrincipal(value: unknown): Principal | undefined {
  if (!Buffer.isBuffer(value)) return undefined;
  try {
    return principalFromProto(PrincipalMessage.decode(value));
  } catch {
    return undefined;
  }
}

function nameIn<Name extends string, Value>(
  values: Readonly<Record<Name, Value>>,
  value: Value,
): Name | undefined {
  return (Object.keys(values) as Name[]).find((name) => values[name] === value);
}

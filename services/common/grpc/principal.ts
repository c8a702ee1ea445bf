import { Metadata } from "@grpc/grpc-js";
import { PrincipalKind, Principal as PrincipalMessage } from "#proto/principal.ts";
import { AirlockError } from "../errors.ts";
import type { Caller, ServiceIdentity } from "../identity/identity.ts";
import {
  LOCAL_PRINCIPAL,
  type Principal,
  type PrincipalKind as PrincipalKindName,
  principalOfClient,
  SYSTEM_PRINCIPAL,
} from "../identity/principal.ts";

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

/**
 * The gRPC metadata of a call that is made for `principal`. Empty when `principal` is undefined: the server
 * then takes the caller itself as the principal.
 */
export function metadataFor(principal?: Principal): Metadata {
  const metadata = new Metadata();
  if (!principal) return metadata;
  const message = { id: principal.id, kind: KINDS[principal.kind], tenant: principal.tenant };
  metadata.set(PRINCIPAL_KEY, Buffer.from(PrincipalMessage.encode(message).finish()));
  return metadata;
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
    const message = PrincipalMessage.decode(value);
    const kind = (Object.keys(KINDS) as PrincipalKindName[]).find((name) => KINDS[name] === message.kind);
    const { id, tenant } = message;
    return kind && id !== "" && tenant !== "" ? { id, kind, tenant } : undefined;
  } catch {
    return undefined;
  }
}

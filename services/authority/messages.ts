import { AirlockError } from "#common/errors.ts";
import { kindFromProto, kindToProto, roleFromProto, roleToProto } from "#common/grpc/principal.ts";
import { SERVICES, type ServiceIdentity } from "#common/identity/identity.ts";
import type {
  CreateGrantRequest,
  CreateKeyRequest,
  Grant as GrantMessage,
  Key,
  PrincipalStatus,
} from "#proto/authority.ts";
import { PrincipalKind, Role } from "#proto/principal.ts";
import type { WrittenGrant } from "./grants/parse-grants.ts";
import type { KeyWish } from "./keys/keys.ts";
import type { Grant } from "./store/grant.ts";
import type { StoredGrant } from "./store/grant-store.ts";
import type { StoredKey, StoredPrincipal } from "./store/store.ts";

/** The message for a key, without its secret part. */
export function keyToProto(key: StoredKey): Key {
  return {
    keyId: key.keyId,
    name: key.name,
    principal: key.principal,
    kind: kindToProto(key.kind),
    role: roleToProto(key.role),
    projects: [...key.projects],
    madeBy: key.madeBy,
    createdAtMs: key.createdAtMs,
    expiresAtMs: key.expiresAtMs,
    lastUsedAtMs: key.lastUsedAtMs,
    revokedAtMs: key.revokedAtMs,
    rate: key.rate,
  };
}

export function principalStatusToProto(principal: StoredPrincipal): PrincipalStatus {
  const { id, kind, tenant, madeBy, disabled, createdAtMs } = principal;
  return { id, kind: kindToProto(kind), tenant, madeBy, disabled, createdAtMs };
}

/** What a request for a key asks for. Throws `invalid_request` for a kind or a role that is unknown. */
export function wishFromProto(request: CreateKeyRequest): KeyWish {
  const { name, projects, expiresInSeconds, rate, principal } = request;
  const kind = kindFromProto(request.kind);
  const role = roleFromProto(request.role);
  // A word that this authority does not know must not become the default, which may allow more.
  if (!kind && request.kind !== PrincipalKind.UNSPECIFIED) throw unknown("kind");
  if (!role && request.role !== Role.UNSPECIFIED) throw unknown("role");
  return {
    name,
    kind,
    role,
    projects,
    expiresInSeconds,
    rate,
    principal: principal === "" ? undefined : principal,
  };
}

/** The message for a grant. One of the file has neither an id nor a maker. */
export function grantToProto(grant: Grant | StoredGrant): GrantMessage {
  const to = grant.to as Readonly<Record<string, string | undefined>>;
  const { cert = "", issuer = "", sub = "", claim = "", equals = "" } = to;
  return {
    ...{ cert, issuer, sub, claim, equals },
    role: roleToProto(grant.role),
    kind: kindToProto(grant.kind),
    tenant: grant.tenant,
    grantId: "grantId" in grant ? grant.grantId : "",
    madeBy: "grantId" in grant ? grant.madeBy : "",
    createdAtMs: "grantId" in grant ? grant.createdAtMs : undefined,
  };
}

/** The grant that a request asks for. Throws `invalid_request` for a kind or a role that is unknown. */
export function grantWishFromProto(request: CreateGrantRequest): WrittenGrant {
  const role = roleFromProto(request.role);
  const kind = kindFromProto(request.kind);
  if (!role || role === "anonymous") throw unknown("role");
  if (!kind && request.kind !== PrincipalKind.UNSPECIFIED) throw unknown("kind");
  const given = (text: string) => (text === "" ? undefined : text);
  return {
    cert: given(request.cert),
    issuer: given(request.issuer),
    sub: given(request.sub),
    claim: given(request.claim),
    equals: given(request.equals),
    role,
    kind,
  };
}

/** The service for which a pass is asked. Throws `invalid_request` for one that this authority does not know. */
export function audienceIn(name: string): ServiceIdentity {
  const audience = SERVICES.find((each) => each === name);
  if (!audience) throw unknown("audiences");
  return audience;
}

function unknown(field: string): AirlockError {
  return new AirlockError("invalid_request", `"${field}" has a value that this authority does not know.`, {
    field,
  });
}

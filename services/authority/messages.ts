import { AirlockError } from "#common/errors.ts";
import { kindFromProto, kindToProto, roleFromProto, roleToProto } from "#common/grpc/principal.ts";
import type { CreateKeyRequest, Key, PrincipalStatus } from "#proto/authority.ts";
import { PrincipalKind, Role } from "#proto/principal.ts";
import type { KeyWish } from "./keys/keys.ts";
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
  };
}

export function principalStatusToProto(principal: StoredPrincipal): PrincipalStatus {
  const { id, kind, tenant, madeBy, disabled, createdAtMs } = principal;
  return { id, kind: kindToProto(kind), tenant, madeBy, disabled, createdAtMs };
}

/** What a request for a key asks for. Throws `invalid_request` for a kind or a role that is unknown. */
export function wishFromProto(request: CreateKeyRequest): KeyWish {
  const { name, projects, expiresInSeconds, principal } = request;
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
    principal: principal === "" ? undefined : principal,
  };
}

function unknown(field: string): AirlockError {
  return new AirlockError("invalid_request", `"${field}" has a value that this authority does not know.`, {
    field,
  });
}

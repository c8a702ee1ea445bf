import { kindFromProto, roleFromProto } from "#common/grpc/principal.ts";
import { permissionsOf, ROLES } from "#common/identity/roles.ts";
import type { Grant, Key, PrincipalStatus } from "#proto/authority.ts";
import type { Access } from "./access.ts";
import type { RateLeft } from "./rate-limit.ts";

/** The answer to GET /me. */
export function meView({ principal, expiresAtMs }: Access, rate: RateLeft | undefined) {
  const { id, kind, tenant, role, projects = [] } = principal;
  return {
    principal: id,
    kind,
    tenant,
    role,
    permissions: permissionsOf(principal),
    projects,
    rate: rate ?? null,
    expires_at: instant(expiresAtMs),
  };
}

/** The answer to GET /roles: what a person with each role may do. */
export function rolesView() {
  return {
    roles: ROLES.map((role) => ({
      role,
      permissions: permissionsOf({ role, kind: "human" }),
    })),
  };
}

export function keyView(key: Key) {
  return {
    key_id: key.keyId,
    name: key.name,
    principal: key.principal,
    kind: kindFromProto(key.kind),
    role: roleFromProto(key.role),
    projects: key.projects,
    rate: key.rate ?? null,
    made_by: key.madeBy,
    created_at: instant(key.createdAtMs),
    expires_at: instant(key.expiresAtMs),
    last_used_at: instant(key.lastUsedAtMs),
    revoked_at: instant(key.revokedAtMs),
  };
}

/** A grant; fields of other forms than its own are null, and so are id and maker of one of the file. */
export function grantView(grant: Grant) {
  return {
    grant_id: grant.grantId || null,
    cert: grant.cert || null,
    issuer: grant.issuer || null,
    sub: grant.sub || null,
    claim: grant.claim || null,
    equals: grant.equals || null,
    role: roleFromProto(grant.role),
    kind: kindFromProto(grant.kind),
    tenant: grant.tenant,
    made_by: grant.madeBy || null,
    created_at: instant(grant.createdAtMs),
  };
}

export function principalView({ id, kind, tenant, madeBy, disabled, createdAtMs }: PrincipalStatus) {
  return {
    principal: id,
    kind: kindFromProto(kind),
    tenant,
    made_by: madeBy,
    disabled,
    created_at: instant(createdAtMs),
  };
}

/** The moment in RFC 3339; null for undefined. */
export function instant(epochMs: number | undefined): string | null {
  return epochMs === undefined ? null : new Date(epochMs).toISOString();
}

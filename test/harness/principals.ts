import type { Principal } from "#common/identity/principal.ts";
import type { Role } from "#common/identity/roles.ts";

/** A principal of a test: a person of the tenant `default` with this role, unless `more` says otherwise. */
export function principal(id: string, role: Role, more: Partial<Principal> = {}): Principal {
  return { id, kind: "human", tenant: "default", role, ...more };
}

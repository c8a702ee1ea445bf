import { AirlockError } from "../errors.ts";
import type { Principal } from "./principal.ts";
import { has, PERMISSIONS, type Permission, ROLES } from "./roles.ts";

/**
 * The error for a principal that lacks a permission. Its message says who the principal is, which permission is
 * missing, and which roles have it.
 */
export function permissionDenied(principal: Principal, permission: Permission): AirlockError {
  const { id, role, kind, within = [] } = principal;
  const { allows, roles } = PERMISSIONS[permission];
  // A key that a developer made has no more permissions than a developer, whatever its own role is.
  const limits = within.filter((each) => !(roles as readonly string[]).includes(each));
  const who =
    limits.length > 0 ? `the role ${role}, limited by its maker's role ${limits[0]}` : `the role ${role}`;
  const isAgent = kind === "agent" && !has({ role: ROLES[0], kind }, permission);
  const agents = isAgent ? ", and no principal of the kind agent has it" : "";
  const next = isAgent
    ? "A person or a service with one of these roles has to do it."
    : "Ask an administrator for a credential with one of these roles.";
  return new AirlockError(
    "permission_denied",
    `You are ${id} with ${who}, and may not ${allows}: that needs the permission ${permission}, which the roles ${roles.join(", ")} have${agents}. ${next}`,
  );
}

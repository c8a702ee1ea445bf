import type { PrincipalKind, Role } from "./roles.ts";

/**
 * The person or program for whom a call is made. The caller, the process that makes the call, may be another:
 * the gateway calls for its clients.
 */
export type Principal = {
  /**
   * The principal's id, unique in this deployment. No credential can claim an id that begins with `system:`.
   */
  readonly id: string;
  readonly kind: PrincipalKind;
  /** The tenant that owns the data this principal makes. */
  readonly tenant: string;
  readonly role: Role;
  /**
   * The id of the principal that made this principal's key and that may see what it does. Undefined when the
   * principal has no such maker.
   */
  readonly maker?: string;
  /**
   * The roles of the principal's maker, of that one's maker, and so on. A key never has a permission that one
   * of these roles lacks. Undefined when the principal has no maker.
   */
  readonly within?: readonly Role[];
  /** The projects that the principal's credential is limited to; undefined: all of the tenant. */
  readonly projects?: readonly string[];
};

/** The only tenant so far, to which all data belongs. */
export const DEFAULT_TENANT = "default";

/** The form of a tenant's name. */
export const TENANT = /^[a-z0-9-]{1,40}$/;

/** The beginning of the ids of principals that Airlock itself makes. No credential can claim one. */
export const SYSTEM_IDS = "system:";

/**
 * The user of this deployment. Every client of a gateway that demands no credentials acts as this principal.
 * So does every process that calls a service on its Unix socket.
 */
export const LOCAL_PRINCIPAL: Principal = Object.freeze({
  id: "system:local",
  kind: "human",
  tenant: DEFAULT_TENANT,
  role: "admin",
});

/** The principal for a service's own work, such as a check of readiness: Airlock itself. */
export const SYSTEM_PRINCIPAL: Principal = Object.freeze({
  id: "system:airlock",
  kind: "service",
  tenant: DEFAULT_TENANT,
  role: "admin",
});

/** The principal of a program of the operator, whose client certificate has this name. */
export function principalOfClient(name: string): Principal {
  return { id: `cert:${name}`, kind: "service", tenant: DEFAULT_TENANT, role: "admin" };
}

/** The kind of a principal: a person, an AI agent, or any other program. */
export type PrincipalKind = "human" | "agent" | "service";

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
};

/** The only tenant so far, to which all data belongs. */
export const DEFAULT_TENANT = "default";

/**
 * The user of this deployment. Every client of the gateway acts as this principal, because the gateway does
 * not tell its clients apart yet. So does every process that calls a service on its Unix socket.
 */
export const LOCAL_PRINCIPAL: Principal = Object.freeze({
  id: "system:local",
  kind: "human",
  tenant: DEFAULT_TENANT,
});

/** The principal for a service's own work, such as a check of readiness: Airlock itself. */
export const SYSTEM_PRINCIPAL: Principal = Object.freeze({
  id: "system:airlock",
  kind: "service",
  tenant: DEFAULT_TENANT,
});

/** The principal of a program of the operator, whose client certificate has this name. */
export function principalOfClient(name: string): Principal {
  return { id: `cert:${name}`, kind: "service", tenant: DEFAULT_TENANT };
}

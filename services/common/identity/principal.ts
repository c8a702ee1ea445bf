/** What acts: a person, a program that thinks, or a program that does not. */
export type PrincipalKind = "human" | "agent" | "service";

/** For whom a call is made. The caller, which makes the call, may be another: the gateway calls for its clients. */
export type Principal = {
  /** Unique in this deployment. No credential can claim an id that begins with `system:`. */
  readonly id: string;
  readonly kind: PrincipalKind;
  /** Whom the data belongs to that this principal makes. */
  readonly tenant: string;
};

/** The only tenant until the authority knows others. */
export const DEFAULT_TENANT = "default";

/**
 * The user of this deployment: each client of the gateway until the authority tells clients apart, and each process that
 * calls a service on its Unix socket.
 */
export const LOCAL_PRINCIPAL: Principal = Object.freeze({
  id: "system:local",
  kind: "human",
  tenant: DEFAULT_TENANT,
});

/** Airlock itself, for a service's own work, such as a check of readiness. */
export const SYSTEM_PRINCIPAL: Principal = Object.freeze({
  id: "system:airlock",
  kind: "service",
  tenant: DEFAULT_TENANT,
});

/** The internal system that shows the certificate of the client with this name. */
export function principalOfClient(name: string): Principal {
  return { id: `cert:${name}`, kind: "service", tenant: DEFAULT_TENANT };
}

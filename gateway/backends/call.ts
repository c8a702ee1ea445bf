import type { ServiceIdentity } from "#common/identity/identity.ts";
import type { Principal } from "#common/identity/principal.ts";

/** A principal's passes, by the service at which each counts. Never log one. */
export type Passes = Readonly<Partial<Record<ServiceIdentity, string>>>;

/**
 * The context of a call that only reads: the principal for whom the gateway calls, its passes, and a signal that
 * aborts when the client has disconnected.
 */
export type BackendCall = {
  readonly principal: Principal;
  /** Undefined where the gateway calls all services on Unix sockets. */
  readonly passes?: Passes | undefined;
  readonly signal: AbortSignal;
};

/**
 * The context of a call that changes something. There is no signal, because the outcome must not depend on
 * how long the client stayed connected.
 */
export type BackendChange = Pick<BackendCall, "principal" | "passes">;

import type { Principal } from "#common/identity/principal.ts";

/**
 * The context of a call that only reads: the principal for whom the gateway calls, and a signal that aborts
 * when the client has disconnected.
 */
export type BackendCall = { readonly principal: Principal; readonly signal: AbortSignal };

/**
 * The context of a call that changes something. There is no signal, because the outcome must not depend on
 * how long the client stayed connected.
 */
export type BackendChange = Pick<BackendCall, "principal">;

import type { Principal } from "#common/identity/principal.ts";

/** For whom a call is made, and how it is given up: `signal` aborts when the client has gone. */
export type BackendCall = { readonly principal: Principal; readonly signal: AbortSignal };

/**
 * A call that changes something has no signal. It runs to its end, so that its outcome does not depend on how long the
 * client stayed.
 */
export type BackendChange = Pick<BackendCall, "principal">;

import type { CallLimits } from "#common/grpc/client.ts";
import type { BackendCall, BackendChange } from "../call.ts";

/** Milliseconds within which a service must answer a call that only reads. */
export const READ_MS = 5_000;
// Milliseconds within which a service must answer a call that changes something. The router checks a large
// `memory` of a submission in steps between other work; four such checks at once take seconds, and longer on
// a busy machine.
export const CHANGE_MS = 15_000;

/** Time limit, principal and cancellation of a call that only reads. */
export function read({ principal, signal }: BackendCall): CallLimits {
  return { timeoutMs: READ_MS, principal, signal };
}

/**
 * Time limit and principal of a call that changes something. A disconnected client does not cancel the call.
 */
export function change({ principal }: BackendChange): CallLimits {
  return { timeoutMs: CHANGE_MS, principal };
}

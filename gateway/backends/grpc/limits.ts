import type { CallLimits } from "#common/grpc/client.ts";
import type { ServiceIdentity } from "#common/identity/identity.ts";
import type { BackendCall, BackendChange } from "../call.ts";

/** Milliseconds within which a service must answer a call that only reads. */
export const READ_MS = 5_000;
// Milliseconds within which a service must answer a call that changes something. The router checks a large
// `memory` of a submission in steps between other work; four such checks at once take seconds, and longer on
// a busy machine.
export const CHANGE_MS = 15_000;

/** Makes the limits of calls to one service, with the principal and its pass for that service. */
export function limitsFor(service: ServiceIdentity) {
  return {
    /** Time limit, principal and cancellation of a call that only reads. */
    read: ({ principal, passes, signal }: BackendCall): CallLimits => ({
      timeoutMs: READ_MS,
      principal,
      pass: passes?.[service],
      signal,
    }),
    /**
     * Time limit and principal of a call that changes something. A disconnected client does not cancel the call.
     */
    change: ({ principal, passes }: BackendChange): CallLimits => ({
      timeoutMs: CHANGE_MS,
      principal,
      pass: passes?.[service],
    }),
  };
}

import type { CallLimits } from "#common/grpc/client.ts";
import type { BackendCall, BackendChange } from "../call.ts";

export const READ_MS = 5_000;
// The router checks a large memory in turns with other work: four at once take some seconds, on a busy machine many.
export const CHANGE_MS = 15_000;

/** The limits of a call that only reads. */
export function read({ principal, signal }: BackendCall): CallLimits {
  return { timeoutMs: READ_MS, principal, signal };
}

/** The limits of a call that changes something. */
export function change({ principal }: BackendChange): CallLimits {
  return { timeoutMs: CHANGE_MS, principal };
}

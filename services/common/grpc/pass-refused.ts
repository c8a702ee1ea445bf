import { AirlockError } from "../errors.ts";

/** Milliseconds by which the clocks of two services may differ. */
export const CLOCK_SKEW_MS = 30_000;

/** The error for a pass that is refused; `reason` completes "The pass of this call is not valid: ". */
export function notValid(reason: string): AirlockError {
  return new AirlockError(
    "permission_denied",
    `The pass of this call is not valid: ${reason}. The gateway gets passes from the authority, for each service its own.`,
  );
}

/** The error for a pass whose time is over. */
export function passExpired(): AirlockError {
  return new AirlockError(
    "unavailable",
    `The pass of this call has expired. Try again; if that does not help, the authority is away, or the clocks of the services differ by more than ${CLOCK_SKEW_MS / 1_000} s.`,
  );
}

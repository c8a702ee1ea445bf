import { AirlockError } from "#common/errors.ts";
import type { EndReasonName } from "#common/execution-names.ts";

/**
 * Why this router stops following a run. `handed_over`: another router continues the run. Every other reason
 * ends the run.
 */
export type InterruptReason =
  | Extract<EndReasonName, "cancelled" | "llm_timeout" | "worker_lost">
  | "handed_over";

/**
 * The error with which the functions that follow a run reject when the run is interrupted. `message` becomes
 * the error text of the execution.
 */
export class Interrupted extends AirlockError {
  readonly reason: InterruptReason;

  constructor(reason: InterruptReason, message: string, options: { cause?: unknown } = {}) {
    super("cancelled", message, options);
    this.name = "Interrupted";
    this.reason = reason;
  }
}

export function isInterrupted(error: unknown): boolean {
  return error instanceof Interrupted;
}

export function isHandedOver(error: unknown): boolean {
  return error instanceof Interrupted && error.reason === "handed_over";
}

/**
 * Interrupts one run: the function that follows the run rejects with `Interrupted`. Only the first reason
 * counts.
 */
export type Interruption = {
  /** Aborts when the run is interrupted, with the `Interrupted` error as the reason. */
  readonly signal: AbortSignal;
  interrupt(reason: InterruptReason, message: string): void;
  /** Interrupts the run because a caller asked to cancel it. */
  cancel(): void;
  /** Settles like `work`, or rejects with the `Interrupted` error as soon as the run is interrupted. */
  race<T>(work: Promise<T>): Promise<T>;
};

export function createInterruption(): Interruption {
  const abort = new AbortController();
  const interrupted = Promise.withResolvers<never>();
  interrupted.promise.catch(() => undefined);
  const interrupt: Interruption["interrupt"] = (reason, message) => {
    if (abort.signal.aborted) return;
    const error = new Interrupted(reason, message);
    interrupted.reject(error);
    abort.abort(error);
  };
  return {
    signal: abort.signal,
    interrupt,
    cancel: () => interrupt("cancelled", "The execution was cancelled."),
    race: (work) => {
      // This handler does nothing: when the run is interrupted first, a later rejection of `work` would be
      // unhandled and end the process.
      work.catch(() => undefined);
      return Promise.race([interrupted.promise, work]);
    },
  };
}

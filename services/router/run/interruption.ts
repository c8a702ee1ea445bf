import { AirlockError } from "#common/errors.ts";
import type { EndReasonName } from "#common/execution-names.ts";

/**
 * Why this router stops following a run. `handed_over`: the run goes on with another router; every other reason ends
 * it.
 */
export type InterruptReason =
  | Extract<EndReasonName, "cancelled" | "llm_timeout" | "worker_lost">
  | "handed_over";

/** Thrown through the run when it is interrupted; `message` is the execution's error. */
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

/** Interrupts one run. Only the first reason counts. */
export type Interruption = {
  readonly signal: AbortSignal;
  interrupt(reason: InterruptReason, message: string): void;
  /** Settles like `work`, or rejects with the Interrupted as soon as there is one. */
  race<T>(work: Promise<T>): Promise<T>;
};

export function createInterruption(): Interruption {
  const abort = new AbortController();
  const interrupted = Promise.withResolvers<never>();
  interrupted.promise.catch(() => undefined);
  return {
    signal: abort.signal,
    interrupt(reason, message) {
      if (abort.signal.aborted) return;
      const error = new Interrupted(reason, message);
      interrupted.reject(error);
      abort.abort(error);
    },
    race: (work) => {
      // When the interruption wins, the rejection of `work` would be unhandled.
      work.catch(() => undefined);
      return Promise.race([interrupted.promise, work]);
    },
  };
}

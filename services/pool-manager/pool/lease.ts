import { AirlockError } from "#common/errors.ts";
import type { Worker } from "../worker/worker.ts";

/**
 * One execution's claim on a worker:
 * queued → held ⇄ parked, with resuming between parked and held; any of them → over.
 */
export type Lease = {
  /** Resolves when a worker is free for the execution. Rejects with `start_failed` or `worker_lost`. */
  readonly granted: Promise<Worker>;
  /** The place in the queue: 1 is next, 0 when the lease does not wait. */
  position(): number;
  /** Gives the slot back and keeps the worker alive. */
  park(): void;
  /** Resolves when the execution has a slot on its worker again. */
  resume(): Promise<void>;
  /** Ends the claim. */
  release(): void;
  /**
   * Ends the claim unless another lease of the same execution takes it over within the grace period. The
   * grace period of a paused execution is at least `pausedGraceMs`.
   */
  abandon(pausedGraceMs?: number): void;
  /** Has the worker replaced, with all runs on it, because it does not end a run. */
  condemn(): void;
  /** Resolves with the reason when the worker is gone; never rejects. */
  readonly lost: Promise<string>;
};

/** A claim: a lease as the pool sees it. */
export type LeaseClaim = {
  readonly executionId: string;
  /** When the claim was made, on the monotonic clock. */
  readonly sinceMs: number;
  readonly granted: PromiseWithResolvers<Worker>;
  readonly lost: PromiseWithResolvers<string>;
  resumed: PromiseWithResolvers<void> | undefined;
  /** When the execution asked for its slot again; used while it waits for that slot. */
  answeredAtMs: number;
  /** The number of leases that have had the claim. Requests of all but the last one are ignored. */
  holders: number;
  /**
   * Set while no lease has the claim. Calling it stops the timer that ends the claim after the grace period.
   */
  keepOn: (() => void) | undefined;
};

export function newLeaseClaim(executionId: string, sinceMs: number): LeaseClaim {
  const claim: LeaseClaim = {
    executionId,
    sinceMs,
    granted: Promise.withResolvers(),
    lost: Promise.withResolvers(),
    resumed: undefined,
    answeredAtMs: sinceMs,
    holders: 0,
    keepOn: undefined,
  };
  // A caller that is gone never awaits the grant, and an unhandled rejection would end the process.
  claim.granted.promise.catch(() => undefined);
  return claim;
}

/** The error for executions that wait, or arrive, while the pool stops for good. */
export function stopping(): AirlockError {
  return new AirlockError("unavailable", "The pool-manager is stopping. Try again in a few seconds.");
}

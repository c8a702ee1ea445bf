import { AirlockError } from "#common/errors.ts";
import type { Worker } from "../worker/worker.ts";

/**
 * One execution's right to a slot on a worker, from the router's request on. States: queued → held ⇄ parked,
 * with resuming between parked and held; any of them → over.
 */
export type Lease = {
  /**
   * Resolves when a worker is free for the execution. Rejects with `start_failed` or `worker_lost`, or with
   * `unavailable` when the pool-manager is stopping.
   */
  readonly granted: Promise<Worker>;
  /** The position in the project's queue: 1 is next, 0 when the execution does not wait there. */
  position(): number;
  /** Gives the slot back, because the execution is paused. The worker keeps the paused run. */
  park(): void;
  /**
   * Resolves when the execution, whose response has arrived, has a slot on its worker again. Rejects with
   * `worker_lost`.
   */
  resume(): Promise<void>;
  /** Ends the claim, because the execution is over or its router gives it up. The slot is then free. */
  release(): void;
  /**
   * Called when the stream of the lease's router broke. Ends the claim unless a new lease of the same
   * execution takes it over within the grace period of a minute. The grace period of a paused execution is at
   * least `pausedGraceMs`.
   */
  abandon(pausedGraceMs?: number): void;
  /**
   * Stops the worker, with all runs on it, because it failed to end this execution's run. The pool then
   * replaces it.
   */
  condemn(): void;
  /** Resolves with the reason when the worker is gone; never rejects. */
  readonly lost: Promise<string>;
};

/**
 * A claim: the part of a lease that the pool keeps. When another router takes the execution over, its new
 * lease gets the same claim.
 */
export type LeaseClaim = {
  readonly executionId: string;
  /** When the claim was made, in milliseconds of the monotonic clock. */
  readonly sinceMs: number;
  /** Resolves to the worker that the execution is given. Rejects when the execution is refused. */
  readonly granted: PromiseWithResolvers<Worker>;
  /** Resolves with the reason when the claim's worker is gone. */
  readonly lost: PromiseWithResolvers<string>;
  /** Resolves when the execution has its slot again; undefined until it first asks for the slot again. */
  resumed: PromiseWithResolvers<void> | undefined;
  /**
   * When the execution asked for its slot again, in milliseconds, because its response had arrived. Of
   * several such executions, the one that asked first gets its slot first.
   */
  answeredAtMs: number;
  /**
   * The number of leases that have been made on the claim; 0 before the first. A new lease is made when
   * another router takes the execution over, or its router connects again. From then on, requests on earlier
   * leases are ignored (`resume` rejects).
   */
  holders: number;
  /**
   * Set while no lease has the claim, because its router's stream broke. Calling it stops the timer that ends
   * the claim after the grace period. Undefined while a lease has the claim.
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
  // A router that is gone never awaits the grant, and an unhandled rejection would end this process.
  claim.granted.promise.catch(() => undefined);
  return claim;
}

/**
 * The error for executions that wait, or arrive, while the pool-manager stops: `unavailable`, so that their
 * routers ask again.
 */
export function stopping(): AirlockError {
  return new AirlockError("unavailable", "The pool-manager is stopping. Try again in a few seconds.");
}

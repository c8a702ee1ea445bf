import { AirlockError } from "#common/errors.ts";
import type { Worker } from "../worker/worker.ts";

/**
 * One execution's claim on a worker:
 * queued → held ⇄ parked, with resuming between parked and held; any of them → over.
 */
export type Lease = {
  /** Resolves when a worker is free for it; rejects with `start_failed` or `worker_lost`. */
  readonly granted: Promise<Worker>;
  /** Place in the queue, 1 is next; 0 when it does not wait. */
  position(): number;
  /** Gives the slot back and keeps the worker alive. */
  park(): void;
  /** Resolves when it has a slot on its worker again. */
  resume(): Promise<void>;
  /** Ends the claim. */
  release(): void;
  /**
   * Ends it unless another lease for the same execution takes it over within the grace period, which for a paused one is at least
   * `pausedGraceMs`.
   */
  abandon(pausedGraceMs?: number): void;
  /** Has its worker replaced, with all that lives on it: it does not end what it should end. */
  condemn(): void;
  /** Resolves with the reason when its worker is gone; never rejects. */
  readonly lost: Promise<string>;
};

/** A lease from the pool's side. */
export type Claim = {
  readonly executionId: string;
  /** When it was made. */
  readonly sinceMs: number;
  readonly granted: PromiseWithResolvers<Worker>;
  readonly lost: PromiseWithResolvers<string>;
  resumed: PromiseWithResolvers<void> | undefined;
  /** When it asked for its slot again; counts while it waits for that. */
  answeredAtMs: number;
  /** Counts the leases that have had it: only the last one has it now. */
  holders: number;
  /** Set while nobody holds its lease: stops the end of the grace period. */
  keepOn: (() => void) | undefined;
};

export function newClaim(executionId: string, sinceMs: number): Claim {
  const claim: Claim = {
    executionId,
    sinceMs,
    granted: Promise.withResolvers(),
    lost: Promise.withResolvers(),
    resumed: undefined,
    answeredAtMs: sinceMs,
    holders: 0,
    keepOn: undefined,
  };
  // The caller may have gone before it looked.
  claim.granted.promise.catch(() => undefined);
  return claim;
}

/** What those hear that wait, or come, while the pool stops for good. */
export function stopping(): AirlockError {
  return new AirlockError("unavailable", "The pool-manager is stopping. Try again in a few seconds.");
}

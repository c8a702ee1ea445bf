import type { AirlockError } from "#common/errors.ts";
import type { LeaseClaim } from "./lease.ts";
import type { Slot } from "./slot.ts";

/**
 * Claims of routers whose executions run on a certain worker already. A claim waits here until its worker is
 * in the pool, because the worker may still be being taken over from an earlier pool-manager.
 */
export type Attaching = {
  add(workerId: string, claim: LeaseClaim): void;
  remove(claim: LeaseClaim): void;
  /** Whether a claim of this execution waits here for its worker. */
  has(executionId: string): boolean;
  /**
   * Gives each claim its worker once the worker is in the pool. Rejects a claim with `missing()` when its
   * worker is neither in the pool nor being taken over.
   */
  serve(): void;
};

export function createAttaching(pool: {
  slot(workerId: string): Slot | undefined;
  /** Whether the worker is being taken over, and will be in the pool soon. */
  isComing(workerId: string): boolean;
  /** Gives a claim its worker, without waiting in the queue. */
  seat(slot: Slot, claim: LeaseClaim): void;
  /** The error for a worker that is not in the pool. */
  missing(): AirlockError;
}): Attaching {
  const waiting = new Map<LeaseClaim, string>();
  return {
    add: (workerId, claim) => void waiting.set(claim, workerId),
    remove: (claim) => void waiting.delete(claim),
    has: (executionId) => [...waiting.keys()].some((claim) => claim.executionId === executionId),
    serve() {
      for (const [claim, workerId] of waiting) {
        const slot = pool.slot(workerId);
        if (!slot && pool.isComing(workerId)) continue;
        waiting.delete(claim);
        if (slot) pool.seat(slot, claim);
        else claim.granted.reject(pool.missing());
      }
    },
  };
}

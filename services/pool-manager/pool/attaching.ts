import type { AirlockError } from "#common/errors.ts";
import type { LeaseClaim } from "./lease.ts";
import type { Slot } from "./slot.ts";

/**
 * Claims on certain workers, from routers whose executions run there already. Some of these workers are still
 * being taken over from an earlier pool-manager.
 */
export type Attaching = {
  add(workerId: string, claim: LeaseClaim): void;
  remove(claim: LeaseClaim): void;
  /** Whether a claim of the execution waits here. */
  has(executionId: string): boolean;
  /**
   * Gives each claim its worker once that is in the pool. Refuses a claim whose worker is not being taken
   * over.
   */
  serve(): void;
};

export function createAttaching(pool: {
  slot(workerId: string): Slot | undefined;
  isComing(workerId: string): boolean;
  /** Puts a claim on its worker. */
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

import type { AirlockError } from "#common/errors.ts";
import type { Claim } from "./lease.ts";
import type { Slot } from "./slot.ts";

/** Claims on workers that run already, some of which are being taken over and are not here yet. */
export type Attaching = {
  add(workerId: string, claim: Claim): void;
  remove(claim: Claim): void;
  /** Whether the execution is among those that wait. */
  has(executionId: string): boolean;
  /** Serves those whose worker has come, and refuses those whose worker is not on its way. */
  serve(): void;
};

export function createAttaching(pool: {
  slot(workerId: string): Slot | undefined;
  isComing(workerId: string): boolean;
  /** Puts a claim on the worker that it is for. */
  seat(slot: Slot, claim: Claim): void;
  /** What is said of a worker that is not here. */
  missing(): AirlockError;
}): Attaching {
  const waiting = new Map<Claim, string>();
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

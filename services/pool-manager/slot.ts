import type { Claim } from "./lease.ts";
import type { Worker } from "./worker.ts";

/** One worker in a pool: at most one claim holds it, any number of paused ones live on it. */
export type Slot = {
  readonly worker: Worker;
  readonly startedAtMs: number;
  holder: Claim | undefined;
  /** Every claim that lives on the worker, the holder too. */
  readonly claims: Set<Claim>;
  /** Answered claims that wait for their turn on it, oldest first. */
  readonly resuming: Claim[];
  /** False: finishes what lives on it, then stops. */
  serving: boolean;
  /** An earlier process had started it. */
  readonly isTakenOver: boolean;
  /** What lives on it may not have come back yet: it is for nobody else. */
  isAwaiting: boolean;
};

export function newSlot(worker: Worker, startedAtMs: number, isTakenOver: boolean): Slot {
  return {
    worker,
    startedAtMs,
    holder: undefined,
    claims: new Set(),
    resuming: [],
    serving: true,
    isTakenOver,
    isAwaiting: isTakenOver,
  };
}

/** Whether nothing runs on the worker for a caller that is there: what lives on it is paused, or waits for another router. */
export function isLeftAlone({ claims, holder }: Slot): boolean {
  return claims.size > 0 && (holder === undefined || holder.keepOn !== undefined);
}

/** Takes `claim` off the worker. */
export function removeClaim(slot: Slot, claim: Claim): void {
  slot.claims.delete(claim);
  parkClaim(slot, claim);
}

/** Takes the slot from `claim`, and its turn, if a lease that is over has waited for one. */
export function parkClaim(slot: Slot, claim: Claim): void {
  if (slot.holder === claim) slot.holder = undefined;
  const index = slot.resuming.indexOf(claim);
  if (index >= 0) slot.resuming.splice(index, 1);
}

import { AirlockError } from "#common/errors.ts";
import type { Worker } from "../worker/worker.ts";
import type { Claim } from "./lease.ts";

const LONG_WAIT_MS = 1_000;

/** One worker in a pool: at most one claim holds it, any number of paused ones live on it. */
export type Slot = {
  readonly worker: Worker;
  readonly startedAtMs: number;
  holder: Claim | undefined;
  /** Claims that came back while another one held it: until they say that they are paused, they may be what runs there. */
  readonly beside: Set<Claim>;
  /** Every claim that lives on the worker, the holder too. */
  readonly claims: Set<Claim>;
  /** Answered claims that wait for their turn on it, oldest first. */
  readonly resuming: Claim[];
  /** Whether an answered claim had the last turn on it. */
  hadResumed: boolean;
  /** False: takes nothing new, finishes what lives on it, then stops. */
  serving: boolean;
  /** It is to be replaced, so it never serves again. */
  isRetired: boolean;
  /** Why the worker asked to be replaced. It serves until few enough others are on their way out. */
  wish: string | undefined;
  /** It goes for another project: when nothing runs on it, it gives its place back. */
  isGivenUp: boolean;
  /** Since when it has no place among the workers of all projects, and is kept for its paused executions alone. */
  pausedSinceMs: number | undefined;
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
    beside: new Set(),
    claims: new Set(),
    resuming: [],
    hadResumed: false,
    serving: true,
    isRetired: false,
    wish: undefined,
    isGivenUp: false,
    pausedSinceMs: undefined,
    isTakenOver,
    isAwaiting: isTakenOver,
  };
}

/** Whether nothing runs on the worker for a caller that is there: what lives on it is paused, or waits for another router. */
export function isLeftAlone({ claims, holder, beside }: Slot): boolean {
  const running = holder ? [holder, ...beside] : [];
  return claims.size > 0 && running.every(({ keepOn }) => keepOn !== undefined);
}

/** Whether the queue has the next turn on it: scripts that are answered at once would keep it to themselves for ever. */
export function isQueuesTurn({ hadResumed, serving, isAwaiting }: Slot, waitedMs: number): boolean {
  return hadResumed && serving && !isAwaiting && waitedMs > LONG_WAIT_MS;
}

/** Whether the claim lives on the worker and neither runs there nor is about to go on. */
export function isPausedOn({ holder, beside, resuming }: Slot, claim: Claim): boolean {
  return holder !== claim && !beside.has(claim) && !resuming.includes(claim);
}

/** Whether something runs on it, or is about to go on. */
export function isBusy({ holder, resuming }: Slot): boolean {
  return holder !== undefined || resuming.length > 0;
}

/** Whether it could serve in the place that it has: it is neither to be replaced nor on its way to another project. */
export function canServeAgain({ isRetired, isGivenUp, pausedSinceMs }: Slot): boolean {
  return !isRetired && !isGivenUp && pausedSinceMs === undefined;
}

/** Has it give its place to another project when nothing runs on it. */
export function giveUpPlace(slot: Slot): void {
  slot.serving = false;
  slot.isGivenUp = true;
}

/** The one that is missed least comes first. */
export function byLoad(a: Slot, b: Slot): number {
  return Number(isBusy(a)) - Number(isBusy(b)) || a.claims.size - b.claims.size;
}

/** Tells all that lives on the worker that it is gone, and how. */
export function tellLost(slot: Slot, how: string): void {
  for (const claim of slot.claims) {
    const error = new AirlockError("worker_lost", `The worker was lost: it ${how}.`);
    claim.granted.reject(error);
    claim.resumed?.reject(error);
    claim.lost.resolve(how);
  }
}

/** Takes `claim` off the worker. */
export function removeClaim(slot: Slot, claim: Claim): void {
  slot.claims.delete(claim);
  parkClaim(slot, claim);
}

/** Takes the slot from `claim`, and its turn, if a lease that is over has waited for one. */
export function parkClaim(slot: Slot, claim: Claim): void {
  slot.beside.delete(claim);
  const index = slot.resuming.indexOf(claim);
  if (index >= 0) slot.resuming.splice(index, 1);
  if (slot.holder !== claim) return;
  const [next] = slot.beside;
  slot.holder = next;
  if (next) slot.beside.delete(next);
}

/** Gives the slot to a claim that came back, or keeps it for the claim until the one that holds it now has parked or ended. */
export function holdOrWait(slot: Slot, claim: Claim): void {
  if (slot.holder) slot.beside.add(claim);
  else slot.holder = claim;
}

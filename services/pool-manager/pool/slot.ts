import { AirlockError } from "#common/errors.ts";
import type { Worker } from "../worker/worker.ts";
import type { LeaseClaim } from "./lease.ts";
import { SERVING, type SlotState } from "./slot-state.ts";

const LONG_WAIT_MS = 1_000;

/**
 * One worker in a pool, with the claims (leases) of the executions on it. At most one claim holds the
 * worker's slot, in which its script runs; any number of paused claims may be on the worker.
 */
export type Slot = {
  readonly worker: Worker;
  readonly startedAtMs: number;
  /** The claim that holds the slot; undefined when the slot is free. */
  holder: LeaseClaim | undefined;
  /**
   * Claims whose routers attached again, after their connection broke, while another claim held the slot.
   * Their scripts may be running, until the routers park them.
   */
  readonly beside: Set<LeaseClaim>;
  /** All claims on the worker, including the holder. */
  readonly claims: Set<LeaseClaim>;
  /**
   * Claims of paused executions whose response has arrived, and which wait for the worker's slot, oldest
   * first.
   */
  readonly resuming: LeaseClaim[];
  /** Whether the slot went last to an execution whose response had arrived, and not to one from the queue. */
  hadResumed: boolean;
  /** What the worker does for its pool. */
  state: SlotState;
  /**
   * Why the worker asked to be replaced; undefined when it has not. The worker serves until few enough other
   * workers are being replaced.
   */
  wish: string | undefined;
  /** Whether an earlier pool-manager started the worker. */
  readonly isTakenOver: boolean;
  /**
   * Whether, after a takeover, routers of the executions on the worker may still attach to it. Until then the
   * worker serves no other execution.
   */
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
    state: SERVING,
    wish: undefined,
    isTakenOver,
    isAwaiting: isTakenOver,
  };
}

/**
 * Whether nothing runs on the worker for a connected router: the executions on it are paused, or their
 * routers' streams broke and no other router has attached yet.
 */
export function isLeftAlone({ claims, holder, beside }: Slot): boolean {
  const running = holder ? [holder, ...beside] : [];
  return claims.size > 0 && running.every(({ keepOn }) => keepOn !== undefined);
}

/**
 * Whether the free slot goes to an execution from the queue now, although executions on the worker may have
 * their response and wait for it: when the slot last went to such an execution, and the queue has waited for
 * more than a second (`waitedMs`). Without this rule, scripts whose llm requests are answered at once would
 * keep the worker for ever.
 */
export function isQueuesTurn(slot: Slot, waitedMs: number): boolean {
  return slot.hadResumed && takesNew(slot) && waitedMs > LONG_WAIT_MS;
}

/** Whether the worker may be given an execution that is new to it. */
export function takesNew({ state, isAwaiting }: Slot): boolean {
  return state.kind === "serving" && !isAwaiting;
}

/** Whether the claim is paused on the worker: its script neither runs nor waits for the slot. */
export function isPausedOn({ holder, beside, resuming }: Slot, claim: LeaseClaim): boolean {
  return holder !== claim && !beside.has(claim) && !resuming.includes(claim);
}

/** Whether an execution runs on the worker, or has its response and waits for the slot. */
export function isBusy({ holder, resuming }: Slot): boolean {
  return holder !== undefined || resuming.length > 0;
}

/** Sorts workers so that the one with the least work comes first. */
export function byLoad(a: Slot, b: Slot): number {
  return Number(isBusy(a)) - Number(isBusy(b)) || a.claims.size - b.claims.size;
}

/**
 * Tells the routers of all claims on the worker that it is gone (`worker_lost`). `how`: the end of a
 * sentence.
 */
export function tellLost(slot: Slot, how: string): void {
  for (const claim of slot.claims) {
    const error = new AirlockError("worker_lost", `The worker was lost: it ${how}.`);
    claim.granted.reject(error);
    claim.resumed?.reject(error);
    claim.lost.resolve(how);
  }
}

/** Removes the claim from the worker, and frees the slot when the claim holds it. */
export function removeClaim(slot: Slot, claim: LeaseClaim): void {
  slot.claims.delete(claim);
  parkClaim(slot, claim);
}

/**
 * Takes the slot from the claim, if it holds the slot, and removes it from the claims that wait for the slot.
 * The slot passes to a claim in `beside`, if there is one.
 */
export function parkClaim(slot: Slot, claim: LeaseClaim): void {
  slot.beside.delete(claim);
  const index = slot.resuming.indexOf(claim);
  if (index >= 0) slot.resuming.splice(index, 1);
  if (slot.holder !== claim) return;
  const [next] = slot.beside;
  slot.holder = next;
  if (next) slot.beside.delete(next);
}

/**
 * Gives the slot to a claim whose router attached again. While another claim holds the slot, the claim waits
 * in `beside` until that other claim parks or ends.
 */
export function holdOrWait(slot: Slot, claim: LeaseClaim): void {
  if (slot.holder) slot.beside.add(claim);
  else slot.holder = claim;
}

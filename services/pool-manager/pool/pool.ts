import { AirlockError, hasCode } from "#common/errors.ts";
import type { Worker } from "../worker/worker.ts";
import { claimAttachableRuns, isFoundPaused } from "./attachable-runs.ts";
import { createAttaching } from "./attaching.ts";
import { type Lease, type LeaseClaim, newLeaseClaim, stopping } from "./lease.ts";
import {
  answeredAtMs,
  longestAnswered,
  longestPaused,
  nextPaused,
  pausedLongestSinceMs,
  pausedSlots,
  placesWanted,
} from "./paused-slots.ts";
import type { Donation, WorkerPlaces } from "./places.ts";
import {
  adopted,
  asked,
  CLOSING,
  DOWN,
  desiredOf,
  drained,
  type PoolState,
  resized,
  wanted,
} from "./pool-state.ts";
import {
  byLoad,
  holdOrWait,
  isBusy,
  isLeftAlone,
  isQueuesTurn,
  newSlot,
  removeClaim,
  type Slot,
  takesNew,
  tellLost,
} from "./slot.ts";
import { finished, givenUp, hasPlace, needed, paused, placed, retired } from "./slot-state.ts";
import { createWorkerStarts, type StartsParts } from "./starts.ts";
import { type LeaseParts, takeLease } from "./take-lease.ts";
import { type PoolView, viewPool } from "./view.ts";
import { createWorkerEnds } from "./worker-ends.ts";

/** The workers of one project and the executions that wait for them. */
export type Pool = {
  /** Asks for a worker, first come, first served. Starts `defaultReplicas` workers if the pool is down. */
  acquire(defaultReplicas: number, executionId: string): Lease;
  /** Leases the worker anew to an execution that runs there. Rejects with `worker_lost` when the worker is gone. */
  attach(workerId: string, executionId: string): Lease;
  up(replicas: number): void;
  /** Changes the number of workers of a pool that is up. 0 takes the pool down once it has no more work. */
  resize(replicas: number): void;
  /** Adopts a running worker. The pool is then up with `replicas` workers, or with all adopted ones that live. */
  take(replicas: number, workerId: string, takeOver: (signal: AbortSignal) => Promise<Worker>): void;
  /** Finishes runs and queue, then stops every worker. */
  down(): void;
  /** Replaces every worker, each once its executions have ended, and those whose start is under way. */
  roll(reason: string): void;
  view(): PoolView;
  /** The execution's position in the project's queue: 1 is next, 0 when it does not wait there. */
  position(executionId: string): number;
  /**
   * Stops for good. Nothing more is granted, and workers end when they are idle, or after `graceMs`. When workers
   * outlive this process, a worker with paused executions, or with runs after `graceMs`, is left to the next
   * pool-manager.
   */
  close(graceMs: number): Promise<void>;
};

export type PoolParts = StartsParts & {
  /** The places of workers (rights to be one of AIRLOCK_MAX_WORKERS), shared with all other pools. */
  readonly places: WorkerPlaces;
  /** Whether workers run on after this process has ended. False unless given. */
  readonly keepsWorkers?: boolean;
};

// A worker that ends sooner than this after its start delays the next start. A later end says nothing about starts.
const SETTLED_AFTER_MS = 10_000;
// For this long an adopted worker serves only executions that ran on it already. Routers ask for it every 500 ms.
const COME_BACK_MS = 3_000;
// A paused worker that is ended is stopped this long after its routers are told the reason, so that the reason arrives
// before the worker's streams break.
const TOLD_AFTER_MS = 1_000;

export function createPool(parts: PoolParts): Pool {
  const { project, clock, log, keepsWorkers = false } = parts;
  const slots = new Set<Slot>();
  const queue: LeaseClaim[] = [];
  let state: PoolState = DOWN;
  let posture: Worker["posture"] = { layers: [], facts: [], packages: [] };

  const serving = () => [...slots].filter(({ state }) => state.kind === "serving");
  const desired = () => {
    const takenOver = [...slots].filter((slot) => slot.isTakenOver && slot.state.kind !== "retired").length;
    return desiredOf(state, takenOver + starts.comingOver.size);
  };
  const isClosing = () => state.kind === "closing";
  const lacking = () => Math.max(0, desired() - serving().length - starts.upToDate());
  const longestWaitMs = () => clock.monotonicMs() - (queue[0]?.sinceMs ?? clock.monotonicMs());
  const slotOf = (claim: LeaseClaim) => [...slots].find((slot) => slot.claims.has(claim));

  /**
   * Gives free slots to executions: first to those on the worker whose response has arrived, then to the queue. Once
   * the queue has waited for a second, both get the slot in turns.
   */
  const dispatch = () => {
    // When an execution on a paused worker has received its response, the pool asks here for a place for this
    // worker. If a place is free and no other project comes first, the worker gets it at once.
    if (longestAnswered(slots)) reconcile();
    for (const slot of slots) {
      if (slot.holder || !hasPlace(slot.state)) continue;
      const answered = takesNew(slot) ? longestAnswered(slots) : undefined;
      if (answered && answeredAtMs(answered) < answeredAtMs(slot)) {
        passPlace(slot, answered);
        return dispatch();
      }
      const resuming = isQueuesTurn(slot, longestWaitMs()) ? undefined : slot.resuming.shift();
      slot.hadResumed = resuming !== undefined;
      if (resuming) {
        slot.holder = resuming;
        resuming.resumed?.resolve();
        continue;
      }
      const next = takesNew(slot) ? queue.shift() : undefined;
      if (next) grant(slot, next);
    }
    reconcile();
  };

  /** Gives a paused worker the place of a worker on which nothing runs. */
  const passPlace = (from: Slot, to: Slot) => {
    from.state = paused(from.state, clock.monotonicMs());
    if (from.claims.size === 0) end(from);
    takePlace(to);
  };

  const takePlace = (slot: Slot) => {
    slot.state = placed(slot.state, lacking() > 0);
  };

  const grant = (slot: Slot, claim: LeaseClaim) => {
    slot.holder = claim;
    slot.claims.add(claim);
    slot.worker.refresh().then(
      () => claim.granted.resolve(slot.worker),
      (error: unknown) => {
        claim.granted.reject(error);
        removeClaim(slot, claim);
        // The worker is retired now, because its driver may notice the end of its container only later.
        if (hasCode(error, "worker_lost")) retire(slot, "is not at its address");
        dispatch();
      },
    );
  };

  /** Puts a claim on its worker without waiting in the queue. */
  const seat = (slot: Slot, claim: LeaseClaim) => {
    slot.claims.add(claim);
    if (!isFoundPaused(slot.worker, claim.executionId)) holdOrWait(slot, claim);
    // The execution may be running, so its worker needs a place.
    if (!hasPlace(slot.state)) {
      takePlace(slot);
      reconcile();
    }
    claim.granted.resolve(slot.worker);
  };

  /** Lets surplus workers finish, ends those without work, and asks `place` for workers that the pool lacks. */
  const reconcile = () => {
    if (state.kind === "draining" && queue.length === 0) state = asked(state, 0);
    for (const slot of slots) if (slot.wish !== undefined) grantWish(slot, slot.wish);
    const surplus = serving().sort(byLoad);
    surplus.length = Math.max(0, Math.min(surplus.length, surplus.length + starts.upToDate() - desired()));
    for (const slot of surplus) slot.state = finished(slot.state);
    for (const slot of slots) {
      // A worker that is finishing its runs serves again when the pool lacks workers.
      if (slot.state.kind === "finishing" && lacking() > 0) slot.state = needed(slot.state);
      if (slot.state.kind === "serving" || (slot.isAwaiting && !isClosing())) continue;
      if (slot.claims.size === 0) end(slot);
      else if (!isBusy(slot)) slot.state = paused(slot.state, clock.monotonicMs());
    }
    place.want(placesWanted(slots, lacking(), !starts.isWaiting()));
  };

  const bringBack = () => {
    const slot = nextPaused(slots, lacking());
    if (slot) takePlace(slot);
    dispatch();
  };

  const came = (worker: Worker, isTakenOver: boolean, outdated: string | undefined) => {
    const slot = newSlot(worker, clock.monotonicMs(), isTakenOver);
    slots.add(slot);
    if (slot.isAwaiting) {
      claimAttachableRuns(slot, attaching.has, { clock, release });
      clock.after(COME_BACK_MS, () => {
        slot.isAwaiting = false;
        // More workers may have been taken over than there are places, because some were paused. So idle ones give
        // theirs up.
        if (place.isOver() && !isBusy(slot)) slot.state = givenUp(slot.state);
        dispatch();
      });
    }
    posture = worker.posture;
    void worker.gone.then((how) => lost(slot, how));
    void worker.ending.then((reason) => retire(slot, reason));
    void worker.retiring.then((reason) => {
      slot.wish = reason;
      reconcile();
    });
    if (isClosing()) slot.state = finished(slot.state);
    if (outdated !== undefined) retire(slot, outdated);
    attaching.serve();
    dispatch();
  };

  /** Refuses all waiting executions and takes the pool down. The next execution starts workers anew. */
  const refuse = (reason: AirlockError) => {
    state = asked(state, 0);
    for (const claim of queue.splice(0)) claim.granted.reject(reason);
  };

  const lost = (slot: Slot, how: string) => {
    if (!slots.delete(slot)) return;
    log.warn({ project, workerId: slot.worker.id, how }, "worker lost");
    tellLost(slot, how);
    if (clock.monotonicMs() - slot.startedAtMs < SETTLED_AFTER_MS) {
      starts.putOff(`A worker ${how} soon after its start; another is started in a while.`);
    }
    reconcile();
  };

  const retire = (slot: Slot, reason: string) => {
    if (!slots.has(slot) || slot.state.kind === "retired") return;
    log.info({ project, workerId: slot.worker.id, reason }, "worker retires");
    slot.state = retired(slot.state);
    slot.wish = undefined;
    reconcile();
  };

  /** Replaces a worker that asked for it, unless too many retired workers still wait for their paused executions. */
  const grantWish = (slot: Slot, reason: string) => {
    const leaving = [...slots].filter(({ state }) => state.kind === "retired").length;
    if (slot.claims.size === 0 || leaving < Math.max(1, desired())) retire(slot, reason);
  };

  const end = (slot: Slot) => {
    slots.delete(slot);
    ends.end(slot.worker, { hasPlace: hasPlace(slot.state) });
  };

  /** Leaves a worker running for the next pool-manager, together with its executions. */
  const leave = (slot: Slot) => {
    slots.delete(slot);
    const { size: executions } = slot.claims;
    log.info({ project, workerId: slot.worker.id, executions }, "worker is left to the next pool-manager");
  };

  /** Gives up a worker's place for other projects. The worker is kept for its paused executions. */
  const giveUp = (what: Donation): boolean => {
    const [slot] = serving()
      .filter(({ isAwaiting }) => !isAwaiting)
      .sort(byLoad);
    if (!slot || (what === "idle" && slot.claims.size > 0) || (what !== "busy" && isBusy(slot))) return false;
    log.info({ project, workerId: slot.worker.id }, "worker goes: another project waits for a place");
    slot.state = givenUp(slot.state);
    reconcile();
    return true;
  };

  const endPaused = (how: string) => {
    const slot = longestPaused(slots);
    if (!slot) return;
    log.warn({ project, workerId: slot.worker.id, executions: slot.claims.size, how }, "paused worker ended");
    tellLost(slot, how);
    slots.delete(slot);
    ends.end(slot.worker, { hasPlace: false, afterMs: TOLD_AFTER_MS });
    reconcile();
  };

  const slotWith = (workerId: string) => [...slots].find(({ worker }) => worker.id === workerId);
  const isComing = (workerId: string) => starts.comingOver.has(workerId);
  // While the pool closes, the router must ask again: its worker may be left to the next pool-manager and live.
  const missing = () => (isClosing() ? stopping() : new AirlockError("worker_lost", "The worker is gone."));
  const attaching = createAttaching({ slot: slotWith, isComing, seat, missing });
  const ends = createWorkerEnds(parts, () => reconcile());
  const starts = createWorkerStarts(parts, {
    ...{ came, failed: attaching.serve, gaveUp: refuse, mayStart: reconcile },
    isServing: () => serving().length > 0,
  });
  const place = parts.places.join({
    count: () => slots.size - pausedSlots(slots).length + starts.underWay() + ends.inPlace(),
    queueDepth: () => queue.length + pausedSlots(slots).filter(isBusy).length,
    start: starts.start,
    canBringBack: () => nextPaused(slots, lacking()) !== undefined,
    bringBack,
    giveUp,
    paused: () => ({ count: pausedSlots(slots).length, sinceMs: pausedLongestSinceMs(slots) }),
    endPaused,
  });

  const release = (claim: LeaseClaim) => {
    claim.keepOn?.();
    const waiting = queue.indexOf(claim);
    if (waiting >= 0) queue.splice(waiting, 1);
    attaching.remove(claim);
    const slot = slotOf(claim);
    if (slot) removeClaim(slot, claim);
    dispatch();
  };

  const leaseParts: LeaseParts = {
    ...{ project, clock, log, slotOf, missing, dispatch, release },
    position: (claim) => queue.indexOf(claim) + 1,
  };
  const leaseOf = (claim: LeaseClaim) => takeLease(claim, leaseParts);

  return {
    acquire(defaultReplicas, executionId) {
      const claim = newLeaseClaim(executionId, clock.monotonicMs());
      if (isClosing()) {
        claim.granted.reject(stopping());
        return leaseOf(claim);
      }
      state = wanted(state, defaultReplicas);
      queue.push(claim);
      dispatch();
      return leaseOf(claim);
    },
    attach(workerId, executionId) {
      const slot = slotWith(workerId);
      const known = [...(slot?.claims ?? [])].find((each) => each.executionId === executionId);
      if (known) return leaseOf(known);
      const claim = newLeaseClaim(executionId, clock.monotonicMs());
      attaching.add(workerId, claim);
      attaching.serve();
      return leaseOf(claim);
    },
    take(replicas, workerId, takeOver) {
      starts.takeOver(workerId, takeOver);
      state = adopted(state, replicas);
      // Missing workers are started after the adopted ones have proved healthy.
    },
    up(replicas) {
      state = asked(state, replicas);
      // An operator who runs `up` may have removed the cause of failed starts, so the next start does not wait.
      starts.hurry();
      dispatch();
    },
    resize(replicas) {
      const before = state;
      state = resized(before, replicas);
      if (before.kind === "up") dispatch();
    },
    down() {
      state = drained(state);
      reconcile();
    },
    roll(reason) {
      starts.outdate(reason);
      for (const slot of [...slots]) retire(slot, reason);
    },
    position: (executionId) => queue.findIndex((claim) => claim.executionId === executionId) + 1,
    view: () =>
      viewPool({
        slots,
        queueDepth: queue.length,
        longestWaitMs: longestWaitMs(),
        desired: desired(),
        draining: state.kind === "draining",
        posture,
        // Starts in a pool that goes down are not shown, because their workers are ended as soon as they are ready.
        detail:
          (state.kind === "draining" || desired() === 0) && starts.underWay() > 0
            ? ""
            : starts.detail() || place.reason(),
      }),
    async close(graceMs) {
      state = CLOSING;
      for (const claim of queue.splice(0)) {
        claim.granted.reject(stopping());
      }
      starts.hurry();
      reconcile();
      const stopTimer = clock.after(graceMs, () => {
        starts.giveUp();
        for (const slot of slots) {
          if (keepsWorkers && slot.claims.size > 0) leave(slot);
          else end(slot);
        }
      });
      while (slots.size > 0 || starts.underWay() > 0 || ends.count() > 0) {
        if (keepsWorkers) for (const slot of slots) if (isLeftAlone(slot)) leave(slot);
        await ends.soon();
      }
      stopTimer();
    },
  };
}

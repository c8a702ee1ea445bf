import { AirlockError, hasCode } from "../common/errors.ts";
import { type Claim, type Lease, newClaim } from "./lease.ts";
import { type PoolView, viewPool } from "./pool-view.ts";
import { isLeftAlone, newSlot, removeClaim, type Slot } from "./slot.ts";
import { type LeaseGround, takeLease } from "./take-lease.ts";
import type { Worker } from "./worker.ts";
import type { WorkerPlaces } from "./worker-places.ts";
import { createWorkerStarts, type StartsParts } from "./worker-starts.ts";

/** The workers of one project and the executions that wait for them. */
export type Pool = {
  /** Asks for a worker, starting `defaultReplicas` if the pool is down. First come, first served. */
  acquire(defaultReplicas: number, executionId: string): Lease;
  /**
   * The lease of an execution that runs already, on this worker; the one that it had has broken. It rejects with
   * `worker_lost` when the worker is gone.
   */
  attach(workerId: string, executionId: string): Lease;
  up(replicas: number): void;
  /** Another number of workers for a pool that is up; 0 ends it when it has nothing to do. */
  resize(replicas: number): void;
  /** Takes in a worker that runs already; the pool is up with `replicas` of them, or as many as are taken in and live on. */
  take(replicas: number, workerId: string, takeOver: (signal: AbortSignal) => Promise<Worker>): void;
  /** Finishes what runs or waits, then stops every worker. */
  down(): void;
  /** Replaces every worker, each when it has finished what lives on it. */
  roll(reason: string): void;
  view(): PoolView;
  /** The execution's place among those that wait for a worker, 1 is next; 0 when it does not wait. */
  position(executionId: string): number;
  /**
   * Stops for good: nothing more is granted; workers end when idle, or when `graceMs` are over. Where workers outlive this process, those on which
   * something is paused, or still runs then, are left to the next one.
   */
  close(graceMs: number): Promise<void>;
};

export type PoolParts = StartsParts & {
  /** The places for workers that it shares with other pools. */
  readonly places: WorkerPlaces;
  /** Whether workers run on when this process has gone; not unless said. */
  readonly keepsWorkers?: boolean;
};

// A worker that lives this long was started well, whatever ends it later.
const SETTLED_AFTER_MS = 10_000;
// Routers ask every half second for the worker of a lease that has broken, over a connection that is made anew.
const COME_BACK_MS = 3_000;

export function createPool(parts: PoolParts): Pool {
  const { project, clock, log, keepsWorkers = false } = parts;
  const slots = new Set<Slot>();
  const queue: Claim[] = [];
  const endings = new Set<Promise<void>>();
  // Claims on workers that are being taken over and are not here yet.
  const attaching = new Set<{ readonly workerId: string; readonly claim: Claim }>();
  // How many were asked for; 0 when the pool is down.
  let asked = 0;
  // Until somebody asks for a number: whoever had the workers that are taken over may have wanted more.
  let keepsMore = false;
  let draining = false;
  let closed = false;
  let posture: Worker["posture"] = { layers: [], facts: [], packages: [] };

  const serving = () => [...slots].filter((slot) => slot.serving);
  const desired = () => {
    const takenOver = serving().filter(({ isTakenOver }) => isTakenOver).length + starts.comingOver.size;
    return keepsMore ? Math.max(asked, takenOver) : asked;
  };
  const ask = (replicas: number) => {
    asked = replicas;
    keepsMore = false;
  };
  const slotOf = (claim: Claim) => [...slots].find((slot) => slot.claims.has(claim));

  /** Hands free workers to whoever waits longest: on each worker the answered first, they are older than the queue. */
  const dispatch = () => {
    for (const slot of slots) {
      if (slot.holder) continue;
      const resuming = slot.resuming.shift();
      if (resuming) {
        slot.holder = resuming;
        resuming.resumed?.resolve();
        continue;
      }
      const next = slot.serving && !slot.isAwaiting ? queue.shift() : undefined;
      if (next) grant(slot, next);
    }
    reconcile();
  };

  const grant = (slot: Slot, claim: Claim) => {
    slot.holder = claim;
    slot.claims.add(claim);
    slot.worker.refresh().then(
      () => claim.granted.resolve(slot.worker),
      (error: unknown) => {
        claim.granted.reject(error);
        removeClaim(slot, claim);
        // That its container has gone may be known later.
        if (hasCode(error, "worker_lost")) retire(slot, "is not at its address");
        dispatch();
      },
    );
  };

  /** Puts a claim on the worker that it is for, beside the queue. */
  const seat = (slot: Slot, claim: Claim) => {
    slot.claims.add(claim);
    slot.holder ??= claim;
    claim.granted.resolve(slot.worker);
  };

  /** Serves those whose worker has come, and refuses those whose worker is not on its way. */
  const seatAttaching = () => {
    for (const each of attaching) {
      const slot = [...slots].find(({ worker }) => worker.id === each.workerId);
      if (!slot && starts.comingOver.has(each.workerId)) continue;
      attaching.delete(each);
      if (slot) seat(slot, each.claim);
      else each.claim.granted.reject(new AirlockError("worker_lost", "The worker is gone."));
    }
  };

  /** Starts or retires workers until there are as many as there should be. */
  const reconcile = () => {
    if (draining && queue.length === 0) {
      draining = false;
      ask(0);
    }
    const surplus = serving().sort((a, b) => a.claims.size - b.claims.size);
    surplus.length = Math.max(0, Math.min(surplus.length, surplus.length + starts.underWay() - desired()));
    for (const slot of surplus) slot.serving = false;
    for (const slot of slots) {
      if (!slot.serving && slot.claims.size === 0 && (!slot.isAwaiting || closed)) end(slot);
    }
    const lacking = desired() - serving().length - starts.underWay();
    place.want(closed || starts.isWaiting() ? 0 : lacking);
  };

  const came = (worker: Worker, isTakenOver: boolean) => {
    const slot = newSlot(worker, clock.monotonicMs(), isTakenOver);
    slots.add(slot);
    if (slot.isAwaiting) {
      clock.after(COME_BACK_MS, () => {
        slot.isAwaiting = false;
        dispatch();
      });
    }
    posture = worker.posture;
    void worker.gone.then((how) => lost(slot, how));
    void worker.retiring.then((reason) => retire(slot, reason));
    if (closed) slot.serving = false;
    seatAttaching();
    dispatch();
  };

  /** Tells the queue why it waits for nothing, now; the next execution finds a pool that is down. */
  const refuse = (reason: AirlockError) => {
    ask(0);
    draining = false;
    for (const claim of queue.splice(0)) claim.granted.reject(reason);
  };

  const lost = (slot: Slot, how: string) => {
    if (!slots.delete(slot)) return;
    log.warn({ project, workerId: slot.worker.id, how }, "worker lost");
    for (const claim of slot.claims) {
      const error = new AirlockError("worker_lost", `The worker was lost: it ${how}.`);
      claim.granted.reject(error);
      claim.resumed?.reject(error);
      claim.lost.resolve(how);
    }
    if (clock.monotonicMs() - slot.startedAtMs < SETTLED_AFTER_MS) {
      starts.putOff(`A worker ${how} soon after its start; another is started in a while.`);
    }
    reconcile();
  };

  const retire = (slot: Slot, reason: string) => {
    if (!slots.has(slot)) return;
    log.info({ project, workerId: slot.worker.id, reason }, "worker retires");
    slot.serving = false;
    reconcile();
  };

  const end = (slot: Slot) => {
    slots.delete(slot);
    const ending = slot.worker
      .stop()
      .catch((error: unknown) => log.error({ project, err: error }, "worker did not stop"))
      .finally(() => {
        endings.delete(ending);
        // Its place is free.
        reconcile();
      });
    endings.add(ending);
  };

  /** Leaves a worker to the next pool-manager, with what lives on it. */
  const leave = (slot: Slot) => {
    slots.delete(slot);
    const { size: executions } = slot.claims;
    log.info({ project, workerId: slot.worker.id, executions }, "worker is left to the next pool-manager");
  };

  /** Lets a worker go for other projects: one that has nothing to do, or the one that has least to do. */
  const giveUp = (evenBusy: boolean): boolean => {
    const [slot] = serving().sort((a, b) => a.claims.size - b.claims.size);
    if (!slot || slot.isAwaiting || (slot.claims.size > 0 && !evenBusy)) return false;
    log.info({ project, workerId: slot.worker.id }, "worker goes: another project waits for a place");
    slot.serving = false;
    reconcile();
    return true;
  };

  const starts = createWorkerStarts(parts, {
    ...{ came, failed: seatAttaching, gaveUp: refuse, mayStart: reconcile },
    isServing: () => serving().length > 0,
  });
  const place = parts.places.join({
    count: () => slots.size + starts.underWay() + endings.size,
    queueDepth: () => queue.length,
    start: starts.start,
    giveUp,
  });

  const release = (claim: Claim) => {
    claim.keepOn?.();
    const waiting = queue.indexOf(claim);
    if (waiting >= 0) queue.splice(waiting, 1);
    for (const each of attaching) if (each.claim === claim) attaching.delete(each);
    const slot = slotOf(claim);
    if (slot) removeClaim(slot, claim);
    dispatch();
  };

  const ground: LeaseGround = {
    ...{ project, clock, log, slotOf, dispatch, release },
    position: (claim) => queue.indexOf(claim) + 1,
  };
  const leaseOf = (claim: Claim) => takeLease(claim, ground);

  return {
    acquire(defaultReplicas, executionId) {
      const claim = newClaim(executionId, clock.monotonicMs());
      if (closed) {
        claim.granted.reject(stopping());
        return leaseOf(claim);
      }
      draining = false;
      if (asked === 0) ask(defaultReplicas);
      queue.push(claim);
      dispatch();
      return leaseOf(claim);
    },
    attach(workerId, executionId) {
      const slot = [...slots].find(({ worker }) => worker.id === workerId);
      const known = [...(slot?.claims ?? [])].find((each) => each.executionId === executionId);
      if (known) return leaseOf(known);
      const claim = newClaim(executionId, clock.monotonicMs());
      attaching.add({ workerId, claim });
      seatAttaching();
      return leaseOf(claim);
    },
    take(replicas, workerId, takeOver) {
      starts.takeOver(workerId, takeOver);
      asked = Math.max(asked, replicas);
      keepsMore = true;
      // What it lacks is started once these are seen to be well.
    },
    up(replicas) {
      draining = false;
      ask(replicas);
      // Whoever asks by hand has perhaps mended it.
      starts.hurry();
      dispatch();
    },
    resize(replicas) {
      if (asked === 0 || draining) return;
      if (replicas === 0) draining = true;
      else ask(replicas);
      dispatch();
    },
    down() {
      draining = true;
      reconcile();
    },
    roll(reason) {
      for (const slot of serving()) retire(slot, reason);
    },
    position: (executionId) => queue.findIndex((claim) => claim.executionId === executionId) + 1,
    view: () =>
      viewPool({
        slots,
        queueDepth: queue.length,
        longestWaitMs: clock.monotonicMs() - (queue[0]?.sinceMs ?? clock.monotonicMs()),
        desired: desired(),
        draining,
        posture,
        detail: starts.detail() || place.reason(),
      }),
    async close(graceMs) {
      closed = true;
      ask(0);
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
      while (slots.size > 0 || starts.underWay() > 0 || endings.size > 0) {
        if (keepsWorkers) for (const slot of slots) if (isLeftAlone(slot)) leave(slot);
        await Promise.race([...endings, new Promise<void>((resolve) => clock.after(20, resolve))]);
      }
      stopTimer();
    },
  };
}

function stopping(): AirlockError {
  return new AirlockError("unavailable", "The pool-manager is stopping. Try again in a few seconds.");
}

import { type AirlockError, asAirlockError } from "#common/errors.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import { TransientFailure } from "../drivers/transient-failure.ts";
import type { Worker } from "../worker/worker.ts";
import { createBackOff } from "./back-off.ts";
import type { Ready } from "./places.ts";

/** Starts workers of one pool, and takes running ones over. */
export type WorkerStarts = {
  /** The number of workers that are being started or taken over. */
  underWay(): number;
  /** The number of those that are still as the project file says. */
  upToDate(): number;
  /**
   * Marks all starts and takeovers under way as outdated, because they began before the project changed. Their
   * workers come with `reason` and are not to serve, and a failure of such a start counts for nothing.
   */
  outdate(reason: string): void;
  /**
   * Starts one worker, which is launched once `ready` resolves. Resolves to whether the worker became ready
   * to run scripts.
   */
  start(ready: Ready): Promise<boolean>;
  /**
   * Takes over a worker that an earlier pool-manager started: calls `takeOne`, which resolves when the worker
   * is connected and ready. The signal aborts when the pool gives the takeover up.
   */
  takeOver(workerId: string, takeOne: (signal: AbortSignal) => Promise<Worker>): void;
  /** The ids of the workers that are being taken over. */
  readonly comingOver: ReadonlySet<string>;
  /** Delays the next start, because a worker was lost soon after its start. `why` becomes `detail`. */
  putOff(why: string): void;
  /** Whether the next start is delayed. */
  isWaiting(): boolean;
  /** Ends the delay of the next start. */
  hurry(): void;
  /** Gives up all starts and takeovers that have not ended. */
  giveUp(): void;
  /** The present step of a start, or the last problem, in words for operators; empty when all is well. */
  detail(): string;
};

/** The reactions of a pool to the end of a start. */
export type StartsOwner = {
  /** `outdated`: why the worker must be replaced; undefined when it is as the project file says. */
  came(worker: Worker, isTakenOver: boolean, outdated: string | undefined): void;
  /** A start or a takeover failed. */
  failed(): void;
  isServing(): boolean;
  /**
   * A start failed for good, or too often in a row, while the pool has no serving worker. The pool refuses
   * the waiting executions with the reason.
   */
  gaveUp(reason: AirlockError): void;
  /** The next start may be tried: a delay is over, or starts do not count any more. */
  mayStart(): void;
};

export type StartsParts = {
  readonly project: string;
  /**
   * Starts one worker and resolves when it is ready. `onProgress` reports steps that take long. `ready` is
   * awaited before the worker is launched. `signal` gives the start up. Rejects with `start_failed`, as a
   * TransientFailure when another attempt may succeed.
   */
  readonly startWorker: (
    onProgress: (step: string) => void,
    ready: Ready,
    signal: AbortSignal,
  ) => Promise<Worker>;
  readonly clock: Clock;
  readonly log: Log;
};

/** A start or a takeover under way. `outdated`: why its worker is not to serve; undefined when it is. */
type Start = { outdated: string | undefined };

// Failures in a row, without a serving worker, after which the executions in the queue are refused. With the
// delays between the attempts that takes a few seconds.
const ATTEMPTS = 4;

export function createWorkerStarts(parts: StartsParts, pool: StartsOwner): WorkerStarts {
  const { project, startWorker, clock, log } = parts;
  const abort = new AbortController();
  const backOff = createBackOff(clock, pool.mayStart);
  const comingOver = new Set<string>();
  const underWay = new Set<Start>();
  let failuresInRow = 0;
  let detail = "";

  const begin = (): Start => {
    const start: Start = { outdated: undefined };
    underWay.add(start);
    return start;
  };

  const came = (worker: Worker, start: Start) => {
    underWay.delete(start);
    const isTakenOver = comingOver.delete(worker.id);
    failuresInRow = 0;
    detail = "";
    log.info({ project, workerId: worker.id }, "worker ready");
    pool.came(worker, isTakenOver, start.outdated);
  };

  const failed = (error: unknown, start: Start) => {
    underWay.delete(start);
    pool.failed();
    const reason = asAirlockError(error);
    log.warn({ project, err: reason, detail: reason.logDetail }, "worker did not start");
    if (start.outdated !== undefined) return pool.mayStart();
    detail = reason.message;
    if (pool.isServing() || underWay.size > 0) return backOff.failed();
    // No worker is left that could serve the queue.
    failuresInRow++;
    if (reason instanceof TransientFailure && failuresInRow < ATTEMPTS) return backOff.failed();
    failuresInRow = 0;
    backOff.reset();
    pool.gaveUp(reason);
  };

  return {
    underWay: () => underWay.size,
    upToDate: () => [...underWay].filter(({ outdated }) => outdated === undefined).length,
    outdate(reason) {
      for (const start of underWay) start.outdated ??= reason;
      pool.mayStart();
    },
    start(ready) {
      detail = "starting workers";
      const onProgress = (step: string) => {
        detail = step;
      };
      const start = begin();
      return startWorker(onProgress, ready, abort.signal).then(
        (worker) => {
          came(worker, start);
          return true;
        },
        (error: unknown) => {
          failed(error, start);
          return false;
        },
      );
    },
    takeOver(workerId, takeOne) {
      const start = begin();
      comingOver.add(workerId);
      takeOne(abort.signal).then(
        (worker) => came(worker, start),
        (error: unknown) => {
          comingOver.delete(workerId);
          failed(error, start);
        },
      );
    },
    comingOver,
    putOff(why) {
      detail = why;
      backOff.failed();
    },
    isWaiting: backOff.isWaiting,
    hurry: backOff.end,
    giveUp: () => abort.abort(),
    detail: () => detail,
  };
}

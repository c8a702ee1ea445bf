import { type AirlockError, asAirlockError } from "#common/errors.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import { TransientFailure } from "../drivers/transient-failure.ts";
import type { Worker } from "../worker/worker.ts";
import { createBackOff } from "./back-off.ts";

/** How workers come into one pool. */
export type WorkerStarts = {
  /** How many are on their way. */
  underWay(): number;
  /** Starts one more, which begins once `ready` resolves; resolves to whether it came. */
  start(ready: () => Promise<void>): Promise<boolean>;
  /** Waits for one that runs already; the signal gives it up. */
  takeOver(workerId: string, takeOne: (signal: AbortSignal) => Promise<Worker>): void;
  /** The ids of those that run already and are on their way. */
  readonly comingOver: ReadonlySet<string>;
  /** Puts the next start off, since a worker that had come was lost. */
  putOff(why: string): void;
  /** Whether the next start is put off. */
  isWaiting(): boolean;
  /** The next start need not wait any more. */
  hurry(): void;
  /** Gives up what is on its way. */
  giveUp(): void;
  /** What is going on, or what went wrong last; empty when all is well. */
  detail(): string;
};

/** What a pool does when a start is over. */
export type StartsOwner = {
  came(worker: Worker, isTakenOver: boolean): void;
  /** Another one did not come. */
  failed(): void;
  isServing(): boolean;
  /** It failed for good, or too often, and nobody serves. */
  gaveUp(reason: AirlockError): void;
  /** A start that was put off may be tried. */
  mayStart(): void;
};

export type StartsParts = {
  readonly project: string;
  /**
   * Starts one ready worker; `onProgress` says what takes long, `ready` is awaited before it begins, `signal` gives it up.
   * Rejects with `start_failed`, as a TransientFailure when another attempt may go well.
   */
  readonly startWorker: (
    onProgress: (step: string) => void,
    ready: () => Promise<void>,
    signal: AbortSignal,
  ) => Promise<Worker>;
  readonly clock: Clock;
  readonly log: Log;
};

// In a row and with nobody serving; with the back-off between them, a few seconds.
const ATTEMPTS = 4;

export function createWorkerStarts(parts: StartsParts, pool: StartsOwner): WorkerStarts {
  const { project, startWorker, clock, log } = parts;
  const abort = new AbortController();
  const backOff = createBackOff(clock, pool.mayStart);
  const comingOver = new Set<string>();
  let underWay = 0;
  let failuresInRow = 0;
  let detail = "";

  const came = (worker: Worker) => {
    underWay--;
    const isTakenOver = comingOver.delete(worker.id);
    failuresInRow = 0;
    detail = "";
    log.info({ project, workerId: worker.id }, "worker ready");
    pool.came(worker, isTakenOver);
  };

  const failed = (error: unknown) => {
    underWay--;
    pool.failed();
    const reason = asAirlockError(error);
    log.warn({ project, err: reason, detail: reason.logDetail }, "worker did not start");
    detail = reason.message;
    if (pool.isServing() || underWay > 0) return backOff.failed();
    // Nobody is left who could serve the queue.
    failuresInRow++;
    if (reason instanceof TransientFailure && failuresInRow < ATTEMPTS) return backOff.failed();
    failuresInRow = 0;
    backOff.reset();
    pool.gaveUp(reason);
  };

  return {
    underWay: () => underWay,
    start(ready) {
      detail = "starting workers";
      const onProgress = (step: string) => {
        detail = step;
      };
      underWay++;
      return startWorker(onProgress, ready, abort.signal).then(
        (worker) => {
          came(worker);
          return true;
        },
        (error: unknown) => {
          failed(error);
          return false;
        },
      );
    },
    takeOver(workerId, takeOne) {
      underWay++;
      comingOver.add(workerId);
      takeOne(abort.signal).then(came, (error: unknown) => {
        comingOver.delete(workerId);
        failed(error);
      });
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

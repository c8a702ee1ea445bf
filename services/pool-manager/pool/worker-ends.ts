import type { Clock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import type { Worker } from "../worker/worker.ts";

/** Stops the workers of one pool, and keeps count of those that are still ending. */
export type WorkerEnds = {
  /**
   * Stops the worker, at once or after `afterMs`. With `hasPlace`, the worker still counts as one of
   * AIRLOCK_MAX_WORKERS until it has ended.
   */
  end(worker: Worker, how: { readonly hasPlace: boolean; readonly afterMs?: number }): void;
  /** The number of workers that are ending. */
  count(): number;
  /** The number of ending workers that keep their place (one of AIRLOCK_MAX_WORKERS) until they have ended. */
  inPlace(): number;
  /** Resolves when any worker has ended, or after 20 ms. */
  soon(): Promise<void>;
};

/** `ended` is called when a worker has ended and its place is free. */
export function createWorkerEnds(
  parts: { readonly project: string; readonly clock: Clock; readonly log: Log },
  ended: () => void,
): WorkerEnds {
  const { project, clock, log } = parts;
  const endings = new Map<Promise<void>, { readonly hasPlace: boolean }>();
  const pass = (ms: number) => new Promise<void>((resolve) => clock.after(ms, resolve));
  return {
    end(worker, { hasPlace, afterMs }) {
      const stop = afterMs === undefined ? worker.stop() : pass(afterMs).then(() => worker.stop());
      const ending = stop
        .catch((error: unknown) => log.error({ project, err: error }, "worker did not stop"))
        .finally(() => {
          endings.delete(ending);
          ended();
        });
      endings.set(ending, { hasPlace });
    },
    count: () => endings.size,
    inPlace: () => [...endings.values()].filter(({ hasPlace }) => hasPlace).length,
    async soon() {
      await Promise.race([...endings.keys(), pass(20)]);
    },
  };
}

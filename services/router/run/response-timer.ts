import type { Stopwatch } from "./stopwatch.ts";

/**
 * Measures how long the router has waited for messages of a worker, since the run began. Pauses are left out.
 * Time that the router needs to process messages is left out too, because the worker does not cause it.
 */
export type ResponseTimer = {
  /** Milliseconds that the router has waited so far. */
  elapsedMs(): number;
  /**
   * Whether the router is processing messages of the worker. The time that the router needs for this is not
   * counted in `elapsedMs`.
   */
  isBusy(): boolean;
  /**
   * Counts the time again, because a new stream follows a broken one and the router waits for its messages.
   */
  listen(): void;
  /**
   * Notes that the script has ended and the worker still checks its documents, or waits for its processes to
   * be gone. The time since the first such sign is not counted, until the signs cease.
   */
  notDone(): void;
  /** Runs `work` without counting its time. After `work` the time counts again. */
  whileBusy<Value>(work: () => Promise<Value>): Promise<Value>;
};

export function createResponseTimer(stopwatch: Stopwatch): ResponseTimer {
  let busyMs = 0;
  let busySince: number | undefined;
  let endedAtMs: number | undefined;
  const elapsedMs = () => (busySince ?? stopwatch.elapsedMs()) - busyMs;
  const listen = () => {
    if (busySince !== undefined) busyMs += stopwatch.elapsedMs() - busySince;
    busySince = undefined;
  };
  return {
    elapsedMs,
    isBusy: () => busySince !== undefined,
    listen,
    notDone() {
      const nowMs = elapsedMs();
      endedAtMs ??= nowMs;
      busyMs += nowMs - endedAtMs;
    },
    async whileBusy(work) {
      busySince ??= stopwatch.elapsedMs();
      try {
        return await work();
      } finally {
        listen();
      }
    },
  };
}

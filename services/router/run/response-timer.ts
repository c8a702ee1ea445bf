import type { Stopwatch } from "./stopwatch.ts";

/**
 * How long the router has waited for the next message of a worker, pauses left out. Time that the router spends
 * processing messages does not count against the worker.
 */
export type ResponseTimer = {
  elapsedMs(): number;
  isBusy(): boolean;
  /** The router waits for messages again, after a stream has broken. */
  listen(): void;
  /** Runs `work` without counting its time. The router waits for messages again after it. */
  whileBusy<Value>(work: () => Promise<Value>): Promise<Value>;
};

export function createResponseTimer(stopwatch: Stopwatch): ResponseTimer {
  let busyMs = 0;
  let busySince: number | undefined;
  const listen = () => {
    if (busySince !== undefined) busyMs += stopwatch.elapsedMs() - busySince;
    busySince = undefined;
  };
  return {
    elapsedMs: () => (busySince ?? stopwatch.elapsedMs()) - busyMs,
    isBusy: () => busySince !== undefined,
    listen,
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

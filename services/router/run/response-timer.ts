import type { Stopwatch } from "./stopwatch.ts";

/**
 * How long the router has waited for a worker to say more, as the stopwatch counts: a worker is not late while the router
 * itself is busy with what it has said, and does not listen.
 */
export type Patience = {
  elapsedMs(): number;
  isBusy(): boolean;
  /** The router listens, whatever it was busy with in a conversation that broke. */
  listen(): void;
  /** Does not count the time of `work`, after which the router listens again. */
  whileBusy<Value>(work: () => Promise<Value>): Promise<Value>;
};

export function createPatience(stopwatch: Stopwatch): Patience {
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

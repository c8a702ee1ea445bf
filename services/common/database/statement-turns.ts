import { AirlockError, asAirlockError } from "../errors.ts";
import type { Clock } from "../resilience/clock.ts";

/**
 * A queue for a service's database connections: as many statements run at the same time as there are
 * connections. Further statements wait, first come, first served.
 */
export type StatementTurns = {
  /**
   * Calls `work`, one statement or transaction, as soon as a connection is free, and settles as `work` does.
   * Rejects without calling `work`: with `unavailable` when too many statements wait or no connection becomes
   * free in time, and with the reason of `signal` when that aborts first. Urgent statements go before all
   * others.
   */
  run<T>(work: () => Promise<T>, isUrgent?: boolean, signal?: AbortSignal): Promise<T>;
};

// More statements than this never wait, because those at the end would be given up by their callers before
// their turn.
const MAX_WAITING = 5_000;

/**
 * `max` is the number of connections. `maxWaitMs` is the milliseconds that a statement waits for a free one
 * before it is rejected.
 */
export function createStatementTurns(max: number, maxWaitMs: number, clock: Clock): StatementTurns {
  let underWay = 0;
  // A Set keeps its order, and loses an entry from the middle at once.
  const waiting = { urgent: new Set<() => void>(), others: new Set<() => void>() };

  const turn = (isUrgent: boolean, signal: AbortSignal | undefined): Promise<void> | undefined => {
    if (underWay < max) {
      underWay += 1;
      return undefined;
    }
    const queue = isUrgent ? waiting.urgent : waiting.others;
    if (queue.size >= MAX_WAITING) throw busy(`${MAX_WAITING} statements wait already`);
    const come = Promise.withResolvers<void>();
    const leaveQueue = () => {
      queue.delete(begin);
      stopTimer();
      signal?.removeEventListener("abort", onAbort);
    };
    const begin = () => {
      leaveQueue();
      come.resolve();
    };
    const onAbort = () => {
      leaveQueue();
      come.reject(asAirlockError(signal?.reason));
    };
    const stopTimer = clock.after(maxWaitMs, () => {
      leaveQueue();
      come.reject(busy(`waited ${maxWaitMs} ms`));
    });
    queue.add(begin);
    signal?.addEventListener("abort", onAbort);
    return come.promise;
  };
  // A statement that ends gives its connection to the next statement in the queue directly, so that a
  // statement that arrives now cannot overtake the queue.
  const leave = () => {
    const [next] = waiting.urgent.size > 0 ? waiting.urgent : waiting.others;
    if (next) next();
    else underWay -= 1;
  };

  return {
    async run(work, isUrgent = false, signal) {
      if (signal?.aborted) throw asAirlockError(signal.reason);
      await turn(isUrgent, signal);
      try {
        return await work();
      } finally {
        leave();
      }
    },
  };
}

function busy(logDetail: string): AirlockError {
  return new AirlockError(
    "unavailable",
    "The database is busy, and too many requests wait for it. Try again in a few seconds.",
    { logDetail: `${logDetail} for one of the service's own database connections` },
  );
}

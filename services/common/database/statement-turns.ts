import { AirlockError } from "../errors.ts";
import type { Clock } from "../resilience/clock.ts";

/**
 * A queue for a service's database connections: as many statements run at the same time as there are
 * connections. Further statements wait, first come, first served.
 */
export type StatementTurns = {
  /**
   * Calls `work`, one statement or transaction, as soon as a connection is free, and settles as `work` does.
   * Rejects with `unavailable`, without calling `work`, when no connection becomes free in time. An urgent
   * statement goes to the front of the queue.
   */
  run<T>(work: () => Promise<T>, isUrgent?: boolean): Promise<T>;
};

/**
 * `max` is the number of connections. `maxWaitMs` is the milliseconds that a statement waits for a free one
 * before it is rejected.
 */
export function createStatementTurns(max: number, maxWaitMs: number, clock: Clock): StatementTurns {
  let underWay = 0;
  const waiting: (() => void)[] = [];

  const turn = (isUrgent: boolean): Promise<void> | undefined => {
    if (underWay < max) {
      underWay += 1;
      return undefined;
    }
    const come = Promise.withResolvers<void>();
    const stopTimer = clock.after(maxWaitMs, () => {
      waiting.splice(waiting.indexOf(begin), 1);
      come.reject(busy(maxWaitMs));
    });
    const begin = () => {
      stopTimer();
      come.resolve();
    };
    if (isUrgent) waiting.unshift(begin);
    else waiting.push(begin);
    return come.promise;
  };
  // A statement that ends gives its connection to the next statement in the queue directly, so that a
  // statement that arrives now cannot overtake the queue.
  const leave = () => {
    const next = waiting.shift();
    if (next) next();
    else underWay -= 1;
  };

  return {
    async run(work, isUrgent = false) {
      await turn(isUrgent);
      try {
        return await work();
      } finally {
        leave();
      }
    },
  };
}

function busy(waitedMs: number): AirlockError {
  return new AirlockError(
    "unavailable",
    "The database takes longer than usual, and too many statements wait for it. Try again in a few seconds.",
    { logDetail: `waited ${waitedMs} ms for one of the service's own database connections` },
  );
}

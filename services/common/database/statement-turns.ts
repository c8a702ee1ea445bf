import { AirlockError } from "../errors.ts";
import type { Clock } from "../resilience/clock.ts";

/**
 * Limits the statements that run at a time to the number of connections. The others wait, first come, first
 * served.
 */
export type StatementTurns = {
  /**
   * Settles as `work` does. Rejects with `unavailable` when its turn does not come in time; `work` is not
   * called then. An urgent statement goes to the front of the queue.
   */
  run<T>(work: () => Promise<T>, isUrgent?: boolean): Promise<T>;
};

/** `max` is the number of statements at a time, `maxWaitMs` how long a statement waits for its turn. */
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
  // The next statement in the queue takes the free turn at once, so that a statement that arrives now cannot
  // overtake it.
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

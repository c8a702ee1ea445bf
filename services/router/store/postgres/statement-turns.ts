import { AirlockError } from "#common/errors.ts";
import type { Clock } from "#common/resilience/clock.ts";

/**
 * Lets so many statements be under way at a time as there are connections; the others wait, first come, first served.
 */
export type StatementTurns = {
  /** Settles as `work` does. Rejects with `unavailable` when its turn has not come in time; then it never runs. */
  run<T>(work: () => Promise<T>, isUrgent?: boolean): Promise<T>;
};

/** `max`: statements at a time. `maxWaitMs`: how long one waits for its turn. */
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
  // Whoever is next takes over the place, so that nobody who comes now is before it.
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
    "Airlock has more to store at the moment than its database takes. Try again in a few seconds.",
    { logDetail: `waited ${waitedMs} ms for one of the router's own database connections` },
  );
}

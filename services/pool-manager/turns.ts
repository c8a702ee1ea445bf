import type { Clock } from "#common/resilience/clock.ts";

/**
 * Limits how many tasks run at the same time. A task that takes longer than `TURN_COUNTS_MS` goes on and does
 * not count any more, so that a task that hangs blocks no other.
 */
export type Turns<T> = {
  /** Resolves when the task of `who` may begin, to a function that the task calls at its end. */
  enter(who: T): Promise<() => void>;
};

/**
 * Milliseconds after which a running task does not count any more. A task that takes longer mostly waits for
 * the network or for a busy machine.
 */
export const TURN_COUNTS_MS = 5_000;

/**
 * `mayEnter` decides whether the task of `who` may begin, from the tasks `inside` that run and still count.
 * Among the waiting tasks that may begin, the first by `compare` begins; equal ones begin in the order of
 * their arrival.
 */
export function createTurns<T>(
  rules: {
    mayEnter(who: T, inside: readonly T[]): boolean;
    compare?(a: T, b: T): number;
  },
  clock: Clock,
): Turns<T> {
  const { mayEnter, compare = () => 0 } = rules;
  let waiting: { readonly who: T; readonly begin: (leave: () => void) => void }[] = [];
  let inside: { readonly who: T }[] = [];

  const advance = () => {
    for (;;) {
      const present = inside.map(({ who }) => who);
      const [next] = waiting
        .filter(({ who }) => mayEnter(who, present))
        .sort((a, b) => compare(a.who, b.who));
      if (!next) return;
      waiting = waiting.filter((other) => other !== next);
      next.begin(begin(next.who));
    }
  };
  const begin = (who: T) => {
    const own = { who };
    inside.push(own);
    const leave = () => {
      stopTimer();
      if (!inside.includes(own)) return;
      inside = inside.filter((other) => other !== own);
      advance();
    };
    const stopTimer = clock.after(TURN_COUNTS_MS, leave);
    return leave;
  };
  return {
    enter: (who) =>
      new Promise((resolve) => {
        waiting.push({ who, begin: resolve });
        advance();
      }),
  };
}

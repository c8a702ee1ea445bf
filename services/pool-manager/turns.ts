import type { Clock } from "#common/resilience/clock.ts";

/** Lets a few do something at a time. Who has been at it for long does not count any more, so nobody waits for one that hangs. */
export type Turns<T> = {
  /** Resolves when `who` may begin, to a function that says that it is done. */
  enter(who: T): Promise<() => void>;
};

/** After this time it only waits: for a network, or for a machine that is busy. */
export const TURN_COUNTS_MS = 5_000;

/** `mayEnter` decides by who is at it; among those who may, the first by `compare` begins, then whoever came first. */
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

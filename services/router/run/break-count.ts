import type { Clock } from "#common/resilience/clock.ts";

/** Counts how often in a row the stream of a run has broken. */
export type BreakCount = {
  /** A stream begins. */
  began(): void;
  /** The stream broke. Returns how many breaks in a row that makes, 1 for the first. */
  broke(): number;
};

// After a minute without a break, earlier breaks are forgotten. A break that is caused by the run's own output recurs
// as soon as the output is replayed, and pings notice a dead connection within 30 s. Messages do not count as
// progress, because an attach replays old ones.
const WENT_WELL_MS = 60_000;

export function createBreakCount(clock: Clock): BreakCount {
  let inRow = 0;
  let sinceMs = clock.monotonicMs();
  return {
    began() {
      sinceMs = clock.monotonicMs();
    },
    broke() {
      if (clock.monotonicMs() - sinceMs >= WENT_WELL_MS) inRow = 0;
      return ++inRow;
    },
  };
}

import type { Clock } from "#common/resilience/clock.ts";

/**
 * Counts how often in a row a run's stream to its worker or to the sanitizer has broken, so that the router
 * can give the run up after too many breaks.
 */
export type BreakCount = {
  /** Notes that a new stream begins. */
  began(): void;
  /** Notes that the stream broke. Returns the number of breaks in a row, 1 for the first. */
  broke(): number;
};

// A stream that lasted this long resets the count. Breaks come sooner when they are in a row: a break that
// the run's own output causes comes again as soon as the worker replays the output, and pings notice a dead
// connection within 30 s. Received messages do not reset the count, because a worker replays old messages to
// a router that attaches.
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

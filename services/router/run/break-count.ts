import type { Clock } from "#common/resilience/clock.ts";

/** Counts how often in a row a conversation has broken. */
export type BreakCount = {
  /** A conversation begins. */
  began(): void;
  /** It broke; returns the break's place in the row, 1 for the first. */
  broke(): number;
};

// A break that lies in the run itself, output that no sanitizer survives, comes back as soon as all is said again, and a
// way that leads nowhere is given up by the pings after 30 seconds. What went on for longer than both went well. Time
// counts, and not what was said meanwhile: after an attach much is, none of it new, and a silent script says nothing.
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

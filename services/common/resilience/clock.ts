/** The source of time, which tests replace. */
export type Clock = {
  /**
   * Epoch milliseconds, for moments that are stored or shown. Never for durations, because the system's clock
   * may be set.
   */
  now(): number;
  /** Milliseconds since an arbitrary moment, for durations, deadlines and ages within this process. */
  monotonicMs(): number;
  /** Calls `run` once after `delayMs` milliseconds. The returned function cancels the call. */
  after(delayMs: number, run: () => void): () => void;
};

// Milliseconds of the longest timer, because setTimeout fires at once for anything longer.
const LONGEST_TIMER_MS = 2 ** 31 - 1;
// A timer that fires more than this many milliseconds late shows that the process had been stopped.
const LATE_MS = 1_000;
// Milliseconds that such a late timer waits once more. When a stopped process continues, all overdue timers
// fire at once, before the answers that arrived meanwhile are read; with the extra wait, an answer that came
// in time still counts.
const MOMENT_MS = 250;

export const systemClock: Clock = {
  now: Date.now,
  monotonicMs: () => Math.floor(performance.now()),
  after(delayMs, run) {
    const waitMs = Math.min(delayMs, LONGEST_TIMER_MS);
    const dueMs = performance.now() + waitMs;
    let timer = setTimeout(() => {
      if (performance.now() - dueMs < LATE_MS) run();
      else timer = setTimeout(run, MOMENT_MS);
    }, waitMs);
    return () => clearTimeout(timer);
  },
};

/** The source of time, which tests replace. */
export type Clock = {
  /**
   * Epoch milliseconds, for moments that are stored or shown. Never for durations, because the system's clock
   * may be set.
   */
  now(): number;
  /** Milliseconds since an arbitrary moment, for durations, deadlines and ages within this process. */
  monotonicMs(): number;
  /** Calls `run` once after `delayMs`. The returned function cancels that. */
  after(delayMs: number, run: () => void): () => void;
};

// Milliseconds of the longest timer, because setTimeout fires at once for anything longer.
const LONGEST_TIMER_MS = 2 ** 31 - 1;
// When a stopped process continues, all overdue timers fire at once, before the answers that arrived
// meanwhile are read. A timer that is more than LATE_MS late therefore waits MOMENT_MS more, so that an
// answer that came in time still counts.
const LATE_MS = 1_000;
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

/** Where time comes from, so that tests can bring their own. */
export type Clock = {
  /** Epoch milliseconds: for moments that are stored or shown. The system's clock may be set, so two of them make no length of time. */
  now(): number;
  /** Milliseconds since some moment: for lengths of time, deadlines and ages within this process. */
  monotonicMs(): number;
  /** Calls `run` once after `delayMs`; the returned function takes that back. */
  after(delayMs: number, run: () => void): () => void;
};

// setTimeout fires at once for anything longer.
const LONGEST_TIMER_MS = 2 ** 31 - 1;
// In a process that was stopped all timers are over at once, those too that what came meanwhile would have ended: an answer
// that was in time is still to be dealt with. So a timer that comes much too late leaves it a moment.
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

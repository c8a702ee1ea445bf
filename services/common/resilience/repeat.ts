import type { Clock } from "./clock.ts";

/**
 * Calls `work` again and again, with `everyMs` milliseconds before the first call and between the end of one
 * call and the beginning of the next. `work` handles its own errors. The returned function stops the
 * repetition and resolves when no call is running.
 */
export function repeat(everyMs: number, work: () => Promise<void>, clock: Clock): () => Promise<void> {
  let stopped = false;
  let working: Promise<void> = Promise.resolve();
  let stopTimer: () => void = () => undefined;
  const arm = () => {
    if (stopped) return;
    stopTimer = clock.after(everyMs, () => {
      working = work().finally(arm);
    });
  };
  arm();
  return async () => {
    stopped = true;
    stopTimer();
    await working;
  };
}

import type { Clock } from "./clock.ts";

/**
 * Does `work` every `everyMs`, counted from the end of one to the beginning of the next; `work` handles its own errors.
 * The returned function ends that and resolves when nothing is on its way.
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

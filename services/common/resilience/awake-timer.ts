import type { Clock } from "./clock.ts";

const STEPS = 8;

/**
 * Calls `onOver` after `ms` milliseconds of this process's own working time. While the process stands still
 * for a long time, because it is busy or stopped, at most an eighth of `ms` counts: an answer that came
 * meanwhile has not been read, and must not be taken for missing. The returned function cancels the call.
 */
export function afterAwake(ms: number, clock: Clock, onOver: () => void): () => void {
  let left = STEPS;
  let cancel: () => void = () => undefined;
  const step = () => {
    left -= 1;
    if (left === 0) onOver();
    else cancel = clock.after(ms / STEPS, step);
  };
  cancel = clock.after(ms / STEPS, step);
  return () => cancel();
}

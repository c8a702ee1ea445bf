import type { Clock } from "#common/resilience/clock.ts";
import type { ExecutionStore } from "../store/store.ts";
import type { Stopwatch } from "./stopwatch.ts";

const NOTE_INTERVAL_MS = 1_000;

/** How long a script has run: what its worker said at the last pause, and what the router has counted since. */
export type RunningTime = {
  elapsedMs(): number;
  /** The worker's own count, which is exact. */
  correct(elapsedMs: number): void;
};

/** `beforeMs`: how long it had run when another router had it. */
export function createRunningTime(stopwatch: Stopwatch, beforeMs: number): RunningTime {
  let countedMs = beforeMs;
  let countedAtMs = stopwatch.elapsedMs();
  return {
    elapsedMs: () => countedMs + stopwatch.elapsedMs() - countedAtMs,
    correct(elapsedMs) {
      countedMs = elapsedMs;
      countedAtMs = stopwatch.elapsedMs();
    },
  };
}

/**
 * Stores the running time once a second while the script runs, so that every router shows it, and so that it is known
 * when the worker and this router are lost together. The returned function stops that.
 */
export function noteRunningTime(
  executionId: string,
  time: RunningTime,
  stopwatch: Stopwatch,
  store: ExecutionStore,
  clock: Clock,
): () => void {
  let cancel: () => void = () => undefined;
  let isOver = false;
  const again = () => {
    if (!isOver) cancel = clock.after(NOTE_INTERVAL_MS, note);
  };
  const note = () => {
    if (!stopwatch.isRunning()) return again();
    // A store that is away misses a second; the next one has all of them.
    store.noteRunningTime(executionId, time.elapsedMs()).then(again, again);
  };
  again();
  return () => {
    isOver = true;
    cancel();
  };
}

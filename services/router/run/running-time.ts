import type { Clock } from "#common/resilience/clock.ts";
import type { Submission } from "#common/submission/submission.ts";
import type { ExecutionStore } from "../store/store.ts";
import type { ResponseTimer } from "./response-timer.ts";
import type { Stopwatch } from "./stopwatch.ts";

const NOTE_INTERVAL_MS = 1_000;
// Characters of code and memory together. With a larger request the running time of the script begins only
// when the script has received all of the request.
const LARGE_REQUEST = 64 * 1024;
/**
 * The longest time, in milliseconds, that the worker does not count as running time while the script receives
 * a large request.
 */
const LONGEST_BEGINNING_MS = 5_000;

/**
 * An estimate of how long a script has run, pauses left out: the worker's count at the last pause, plus the
 * time that the router has waited for the worker since. The estimate stays below the worker's exact count at
 * the end, because the time that callers see must not go down.
 */
export type RunningTime = {
  /** The estimated running time, in milliseconds. */
  elapsedMs(): number;
  /** Replaces the estimate by the worker's own count, in milliseconds, which is exact. */
  correct(elapsedMs: number): void;
};

/**
 * Starts the estimate. `beforeMs`: milliseconds that the script ran under earlier routers, 0 for a new run.
 * `uncountedMs`: milliseconds from now that do not count, because the script may not have begun yet.
 */
export function createRunningTime(
  responseTimer: Pick<ResponseTimer, "elapsedMs">,
  beforeMs: number,
  uncountedMs = 0,
): RunningTime {
  let countedMs = beforeMs;
  let countedAtMs = responseTimer.elapsedMs() + uncountedMs;
  return {
    elapsedMs: () => countedMs + Math.max(0, responseTimer.elapsedMs() - countedAtMs),
    correct(elapsedMs) {
      countedMs = elapsedMs;
      countedAtMs = responseTimer.elapsedMs();
    },
  };
}

/**
 * How many milliseconds after its start message a script may begin, at most: 0 unless the request is large.
 */
export function longestBeginningMs({ code, memoryJson }: Pick<Submission, "code" | "memoryJson">): number {
  return code.length + memoryJson.length > LARGE_REQUEST ? LONGEST_BEGINNING_MS : 0;
}

/**
 * Stores the running time once a second while the script runs, so that every router shows it. It is then also
 * known when the worker and this router die together. The returned function stops the writes.
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
    // A failed write is not repeated, because the next write stores the whole running time.
    store.noteRunningTime(executionId, time.elapsedMs()).then(again, again);
  };
  again();
  return () => {
    isOver = true;
    cancel();
  };
}

import type { Clock } from "#common/resilience/clock.ts";
import type { Submission } from "#common/submission/submission.ts";
import type { ExecutionStore } from "../store/store.ts";
import type { ResponseTimer } from "./response-timer.ts";
import type { Stopwatch } from "./stopwatch.ts";

const NOTE_INTERVAL_MS = 1_000;
// In characters. The time of a script with a larger request begins when the script has received all of it.
const LARGE_REQUEST = 64 * 1024;
/**
 * The longest time, in milliseconds, that the worker leaves out while the script receives a large request.
 */
const LONGEST_BEGINNING_MS = 5_000;

/**
 * How long a script has run: the worker's count at the last pause, plus the time that the router has listened since.
 * The shown time must not go down, so this count stays below the worker's exact count at the end.
 */
export type RunningTime = {
  elapsedMs(): number;
  /** Replaces the running time by the worker's own count, which is exact. */
  correct(elapsedMs: number): void;
};

/** `beforeMs`: the running time under earlier routers. `uncountedMs`: how much later than now the script may begin. */
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

/** How much later than its start message a script may begin, in milliseconds. */
export function longestBeginningMs({ code, memoryJson }: Pick<Submission, "code" | "memoryJson">): number {
  return code.length + memoryJson.length > LARGE_REQUEST ? LONGEST_BEGINNING_MS : 0;
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
    // A failed write needs no repetition, because the next one stores the whole time.
    store.noteRunningTime(executionId, time.elapsedMs()).then(again, again);
  };
  again();
  return () => {
    isOver = true;
    cancel();
  };
}

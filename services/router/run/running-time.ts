import type { Clock } from "#common/resilience/clock.ts";
import type { Submission } from "#common/submission/submission.ts";
import type { ExecutionStore } from "../store/store.ts";
import type { Patience } from "./response-timer.ts";
import type { Stopwatch } from "./stopwatch.ts";

const NOTE_INTERVAL_MS = 1_000;
// In characters. Of a larger request the worker takes the script's time from the moment in which the script has all of it.
const LARGE_REQUEST = 64 * 1024;
/** The longest time that the worker leaves out then. */
const LONGEST_BEGINNING_MS = 5_000;

/**
 * How long a script has run: what its worker said at the last pause, and how long the router has listened to the worker since.
 * The worker's count at the end is exact, and never less than this one, because what is shown must not go down.
 */
export type RunningTime = {
  elapsedMs(): number;
  /** The worker's own count, which is exact. */
  correct(elapsedMs: number): void;
};

/** `beforeMs`: how long it had run when another router had it. `uncountedMs`: how much later than now the script may begin. */
export function createRunningTime(
  patience: Pick<Patience, "elapsedMs">,
  beforeMs: number,
  uncountedMs = 0,
): RunningTime {
  let countedMs = beforeMs;
  let countedAtMs = patience.elapsedMs() + uncountedMs;
  return {
    elapsedMs: () => countedMs + Math.max(0, patience.elapsedMs() - countedAtMs),
    correct(elapsedMs) {
      countedMs = elapsedMs;
      countedAtMs = patience.elapsedMs();
    },
  };
}

/** How much later than now a script may begin that is started with this request. */
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
    // A store that is away misses a second; the next one has all of them.
    store.noteRunningTime(executionId, time.elapsedMs()).then(again, again);
  };
  again();
  return () => {
    isOver = true;
    cancel();
  };
}

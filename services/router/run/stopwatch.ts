import type { Clock } from "#common/resilience/clock.ts";

/** Measures the milliseconds of a run and leaves pauses out. A new stopwatch is running. */
export type Stopwatch = {
  elapsedMs(): number;
  isRunning(): boolean;
  pause(): void;
  resume(): void;
};

export function startStopwatch(clock: Clock): Stopwatch {
  let countedMs = 0;
  let runningSince: number | undefined = clock.monotonicMs();
  return {
    elapsedMs: () => countedMs + (runningSince === undefined ? 0 : clock.monotonicMs() - runningSince),
    isRunning: () => runningSince !== undefined,
    pause() {
      if (runningSince === undefined) return;
      countedMs += clock.monotonicMs() - runningSince;
      runningSince = undefined;
    },
    resume() {
      runningSince ??= clock.monotonicMs();
    },
  };
}

import { hasCode } from "#common/errors.ts";
import type { Clock } from "#common/resilience/clock.ts";
import { every, retry } from "#common/resilience/retry.ts";
import type { Interruption } from "./interruption.ts";

const RETRY_MS = 500;

/**
 * Repeats a call of the store for as long as the database is away, because a run outlives a database that restarts.
 * Rejects as `work` does for any other reason, and with the interruption when the run is interrupted.
 */
export async function awaitStore<T>(
  work: () => Promise<T>,
  interruption: Interruption,
  clock: Clock,
): Promise<T> {
  return await retry(work, {
    mayRetry: (error) => hasCode(error, "unavailable"),
    delayMs: every(RETRY_MS),
    clock,
    signal: interruption.signal,
  });
}

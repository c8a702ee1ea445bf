import { hasCode } from "#common/errors.ts";
import type { Clock } from "#common/resilience/clock.ts";
import { every, retry } from "#common/resilience/retry.ts";
import type { Interruption } from "./interruption.ts";

const RETRY_MS = 500;

/**
 * Calls `work`, a call of the store, again every 500 ms while the database cannot be reached, because a run
 * should outlive a restart of the database. Rejects with any other error of `work`, and with the
 * interruption's reason when the run is interrupted.
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

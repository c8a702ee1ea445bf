import { hasCode } from "#common/errors.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { Interruption } from "./interruption.ts";

const RETRY_MS = 500;

/**
 * What `work` asks of the store, asked again for as long as the database is away: a run outlives a database that
 * restarts. Rejects as `work` does for any other reason, and as soon as the run is interrupted.
 */
export async function awaitStore<T>(
  work: () => Promise<T>,
  interruption: Interruption,
  clock: Clock,
): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!hasCode(error, "unavailable")) throw error;
    }
    await interruption.race(new Promise<void>((resolve) => clock.after(RETRY_MS, resolve)));
  }
}

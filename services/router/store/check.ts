import { AirlockError, asAirlockError } from "#common/errors.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { Dependency } from "#proto/readiness.ts";
import type { ExecutionStore } from "./store.ts";

const TIMEOUT_MS = 1_000;

/** Whether the database answers within a second. Never rejects. */
export async function checkStore(store: ExecutionStore, clock: Clock): Promise<Dependency> {
  const tooLate = Promise.withResolvers<never>();
  const stopTimer = clock.after(TIMEOUT_MS, () =>
    tooLate.reject(new AirlockError("deadline_exceeded", "The database did not answer in time.")),
  );
  try {
    await Promise.race([store.ping(), tooLate.promise]);
    return { name: "database", ready: true, detail: "" };
  } catch (error) {
    return { name: "database", ready: false, detail: asAirlockError(error).message };
  } finally {
    stopTimer();
  }
}

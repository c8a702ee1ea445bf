import type { Dependency } from "#proto/readiness.ts";
import { AirlockError, asAirlockError } from "../errors.ts";
import type { Clock } from "../resilience/clock.ts";
import type { Database } from "./database.ts";

const TIMEOUT_MS = 1_000;

/** Whether the database answers within a second. Never rejects: the reason of a failure is in `detail`. */
export async function checkDatabase(database: Pick<Database, "ping">, clock: Clock): Promise<Dependency> {
  const tooLate = Promise.withResolvers<never>();
  const stopTimer = clock.after(TIMEOUT_MS, () =>
    tooLate.reject(new AirlockError("deadline_exceeded", "The database did not answer in time.")),
  );
  try {
    await Promise.race([database.ping(), tooLate.promise]);
    return { name: "database", ready: true, detail: "" };
  } catch (error) {
    return { name: "database", ready: false, detail: asAirlockError(error).message };
  } finally {
    stopTimer();
  }
}

import { randomInt } from "node:crypto";
import { v7 } from "uuid";
import type { Clock } from "#common/resilience/clock.ts";

// The part of a UUID's sequence number that is random at first. Its highest bit stays free for counting.
const FIRST_SEQUENCES = 2 ** 31;

/**
 * Makes the ids of executions: UUIDs that sort by the clock's time, and those of one millisecond in their
 * order. The clock is the database's, because lists and claims sort the executions of all routers by id.
 */
export function createExecutionIds(clock: Pick<Clock, "now">): () => string {
  let msecs = Number.NEGATIVE_INFINITY;
  let seq = 0;
  return () => {
    const nowMs = clock.now();
    if (nowMs > msecs) {
      msecs = nowMs;
      seq = randomInt(FIRST_SEQUENCES);
    } else {
      seq += 1;
    }
    return v7({ msecs, seq });
  };
}

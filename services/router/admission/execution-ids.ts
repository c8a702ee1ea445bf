import { randomInt } from "node:crypto";
import { v7 } from "uuid";
import type { Clock } from "#common/resilience/clock.ts";

// The 32-bit sequence number in the ids of one millisecond starts at a random number below this limit. The
// highest bit is then free, so that counting up does not overflow.
const FIRST_SEQUENCES = 2 ** 31;

/**
 * Returns a function that makes execution ids: UUIDs that sort by time, and within a millisecond by the order
 * in which they were made. `clock` shows the database's time, because lists and claims sort the executions of
 * all routers by id.
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

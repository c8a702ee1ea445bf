import type { Clock } from "../../resilience/clock.ts";
import { repeat } from "../../resilience/repeat.ts";
import type { Log } from "../../service/log.ts";
import type { PostgresDatabase, PostgresStatement } from "./pool.ts";

/** The clock of a PostgreSQL server, as this process knows it. */
export type ServerTime = {
  /**
   * Epoch milliseconds by the server's clock. The value lags behind that clock by the duration of one query
   * at most, apart from drift of up to TOLERANCE_MS, which is not corrected.
   */
  now(): number;
  /** Stops reading the server's clock; `now` then counts on from the last reading. */
  stop(): Promise<void>;
};

const READ_EVERY_MS = 10_000;
// Milliseconds. A new reading that differs by less from the time counted so far is ignored, because time
// would otherwise go back by some milliseconds between two moments that one row stores.
const TOLERANCE_MS = 1_000;
// Milliseconds. A larger difference between the clocks of this machine and of the server is logged as a
// warning.
const WRONG_CLOCK_MS = 10_000;

const READ: PostgresStatement = {
  name: "server-time",
  isUrgent: true,
  text: "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms",
};

/**
 * Reads the clock of the PostgreSQL server once, and again every ten seconds until `stop`. Moments that
 * several machines store and compare need one clock, because a machine's own clock may be wrong by days.
 * Between two readings this process's monotonic clock counts, so that setting this machine's clock has no
 * effect. Rejects when the first reading fails; a later failure is logged.
 */
export async function openServerTime(db: PostgresDatabase, clock: Clock, log: Log): Promise<ServerTime> {
  let aheadMs = await read();
  let isWarned = false;
  const now = () => clock.monotonicMs() + aheadMs;
  const warn = () => {
    const differenceMs = clock.now() - now();
    const isWrong = Math.abs(differenceMs) > WRONG_CLOCK_MS;
    if (isWrong && !isWarned) {
      log.warn(
        { differenceMs },
        "this machine's clock differs from the database's, which is used in its place; set the wrong one of the two",
      );
    }
    isWarned = isWrong;
  };
  warn();
  const stop = repeat(
    READ_EVERY_MS,
    async () => {
      try {
        const readMs = await read();
        if (Math.abs(readMs - aheadMs) > TOLERANCE_MS) aheadMs = readMs;
        warn();
      } catch (error) {
        log.warn({ err: error }, "the database's time was not read");
      }
    },
    clock,
  );
  return { now, stop };

  /** The milliseconds by which the server's time is ahead of this process's monotonic clock. */
  async function read(): Promise<number> {
    const [row] = await db.rows<{ now_ms: number }>(READ);
    return (row as { now_ms: number }).now_ms - clock.monotonicMs();
  }
}

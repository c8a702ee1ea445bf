import type { DatabaseConfig } from "#common/database/config.ts";
import type { Circuits } from "#common/resilience/circuits.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import type { ExecutionStore } from "./store.ts";

/**
 * Opens the configured store for the router `routerId`, an id that no other router has. Rejects when the
 * database cannot be used.
 */
export async function openStore(
  database: DatabaseConfig,
  routerId: string,
  clock: Clock,
  log: Log,
  circuits: Circuits,
): Promise<ExecutionStore> {
  // Only the module of the configured database is loaded, because each module delays the start of an embedded
  // router by milliseconds.
  if (database.kind === "postgres") {
    const { openPostgresStore } = await import("./postgres/store.ts");
    return await openPostgresStore(database, routerId, clock, log, circuits);
  }
  const { openSqliteStore } = await import("./sqlite/store.ts");
  return openSqliteStore(database.path, routerId, clock);
}

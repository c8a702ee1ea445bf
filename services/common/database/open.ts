import type { Circuits } from "../resilience/circuits.ts";
import type { Clock } from "../resilience/clock.ts";
import type { Log } from "../service/log.ts";
import type { DatabaseConfig } from "./config.ts";
import type { Database } from "./database.ts";
import type { ServiceTables } from "./tables.ts";

/**
 * Opens the database of a service and applies its missing migrations. Rejects with the reason when the
 * database cannot be used. `circuits` gets the circuit breaker of PostgreSQL.
 */
export async function openDatabase(
  config: DatabaseConfig,
  tables: ServiceTables,
  circuits: Circuits,
  clock: Clock,
  log: Log,
): Promise<Database> {
  // Only the module of the configured database is loaded, because each module delays the start of an embedded
  // service by milliseconds.
  if (config.kind === "postgres") {
    const { openPostgres } = await import("./postgres/open.ts");
    return (await openPostgres(config, tables, circuits, clock, log)).db;
  }
  const { openSqliteDatabase } = await import("./sqlite/database.ts");
  return openSqliteDatabase(config.path, tables, clock);
}

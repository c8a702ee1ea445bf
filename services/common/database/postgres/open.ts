import type { ClientConfig } from "pg";
import type { Circuits } from "../../resilience/circuits.ts";
import type { Clock } from "../../resilience/clock.ts";
import type { Log } from "../../service/log.ts";
import type { PostgresConfig } from "../config.ts";
import type { ServiceTables } from "../tables.ts";
import { readClientConfig } from "./client-config.ts";
import { DATABASE_CIRCUIT } from "./errors.ts";
import { migrate } from "./migrate.ts";
import { openPool, type PostgresDatabase } from "./pool.ts";

/**
 * Opens a PostgreSQL database and applies the service's missing migrations. `client` has the settings for
 * further connections, such as that of `openNotices`. Rejects with the reason when the database cannot be
 * used.
 */
export async function openPostgres(
  config: PostgresConfig,
  tables: ServiceTables,
  circuits: Circuits,
  clock: Clock,
  log: Log,
): Promise<{ readonly db: PostgresDatabase; readonly client: ClientConfig }> {
  const client = await readClientConfig(config, tables);
  await migrate(client, tables, log);
  const circuit = circuits.add("database", DATABASE_CIRCUIT);
  return { db: openPool(client, config.maxConnections, circuit, clock, log), client };
}

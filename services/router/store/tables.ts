import { join } from "node:path";
import type { ServiceTables } from "#common/database/tables.ts";

/**
 * The router's tables. Their constraints enforce the rules for executions even if the router's code is wrong.
 * The same migration has different numbers in SQLite and PostgreSQL, because the first migrations of each
 * were numbered apart.
 */
export const ROUTER_TABLES: ServiceTables = {
  service: "router",
  migrations: join(import.meta.dirname, "migrations"),
  // The tables are in the default schema of the router's database role, because databases of the first
  // releases have them there.
  postgresSchema: undefined,
  hasTextsInBytea: true,
};

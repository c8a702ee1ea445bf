import { join } from "node:path";
import type { ServiceTables } from "#common/database/tables.ts";

/**
 * The router's tables. Their constraints enforce the invariants, whatever the router's code does. A migration
 * has different numbers in SQLite and PostgreSQL, because the first ones were numbered apart.
 */
export const ROUTER_TABLES: ServiceTables = {
  service: "router",
  migrations: join(import.meta.dirname, "migrations"),
  // Databases of the first releases have the tables in the schema of the role.
  postgresSchema: undefined,
  hasTextsInBytea: true,
};

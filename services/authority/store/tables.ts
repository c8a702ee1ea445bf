import { join } from "node:path";
import type { ServiceTables } from "#common/database/tables.ts";

export const AUTHORITY_TABLES: ServiceTables = {
  service: "authority",
  migrations: join(import.meta.dirname, "migrations"),
  postgresSchema: "authority",
};

import { join } from "node:path";
import type { ServiceTables } from "#common/database/tables.ts";

/** The tables of a service that exists in tests only. */
export const NOTES: ServiceTables = {
  service: "notes",
  migrations: join(import.meta.dirname, "notes-migrations"),
  postgresSchema: "notes",
};

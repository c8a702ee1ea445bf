import { pino } from "pino";
import { readClientConfig } from "#common/database/postgres/client-config.ts";
import { migrate } from "#common/database/postgres/migrate.ts";
import { ROUTER_TABLES } from "../../services/router/store/tables.ts";
import { configOf } from "./postgres.ts";

// A program that migrates AIRLOCK_DATABASE_URL with the files of a directory, as a router does at its start; tests
// kill it.
const [directory = ""] = process.argv.slice(2);
const tables = { ...ROUTER_TABLES, migrations: directory };
const client = await readClientConfig(configOf(process.env.AIRLOCK_DATABASE_URL ?? ""), tables);
await migrate(client, tables, pino({ level: "silent" }));

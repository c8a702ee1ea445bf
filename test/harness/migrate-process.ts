import { pino } from "pino";
import { readClientConfig } from "../../services/router/store/postgres/connection.ts";
import { migrate, readMigrations } from "../../services/router/store/postgres/migrations.ts";
import { configOf } from "./postgres.ts";

// A program that migrates AIRLOCK_DATABASE_URL with the files of a directory, as a router does at its start; tests
// kill it.
const [directory] = process.argv.slice(2);
const client = await readClientConfig(configOf(process.env.AIRLOCK_DATABASE_URL ?? ""));
await migrate(client, await readMigrations(directory), pino({ level: "silent" }));

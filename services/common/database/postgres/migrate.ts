import { createHash } from "node:crypto";
import { Client, type ClientConfig, DatabaseError } from "pg";
import type { Log } from "../../service/log.ts";
import { type Migration, readMigrations } from "../migrations.ts";
import type { ServiceTables } from "../tables.ts";
import { describe } from "./errors.ts";

type Applied = { number: number; name: string; checksum: string };

const OLDEST_SERVER = 14;
const LOCK_WAIT_MS = 5 * 60_000;
const LONGEST_STEP_MS = 30 * 60_000;
// The number of the PostgreSQL advisory lock for migrations of the router's tables, which have no schema of
// their own. The number must never change, because routers of two versions must exclude each other.
const LOCK = 27424471910902635n;
const LOCK_NOT_HAD = "55P03";

/**
 * Applies the service's missing migrations to the database, each in its own transaction. After a crash, the
 * next start continues behind the last complete migration. Of processes that start together, one migrates and
 * the others wait. Rejects with the reason when the server is unsuitable, when a newer Airlock has written
 * the database, or when a migration of the database differs from the file of this Airlock.
 */
export async function migrate(config: ClientConfig, tables: ServiceTables, log: Log): Promise<void> {
  const migrations = readMigrations(tables.migrations, "postgres");
  const client = new Client({
    ...config,
    lock_timeout: LOCK_WAIT_MS,
    statement_timeout: LONGEST_STEP_MS,
    query_timeout: LONGEST_STEP_MS,
  });
  client.on("error", (error) => log.warn({ reason: describe(error) }, "database connection lost"));
  try {
    await client.connect();
    await checkServer(client);
    // Without this setting, the server may notice late that a migrating process has died, and keep that
    // process's lock until then.
    await client.query("SET client_connection_check_interval = '1s'");
    await client.query(`SELECT pg_advisory_lock(${lockOf(tables)})`);
    if (tables.postgresSchema !== undefined) await enterSchema(client, tables.postgresSchema);
    await client.query(
      `CREATE TABLE IF NOT EXISTS airlock_migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL,
       checksum TEXT NOT NULL, applied_at TIMESTAMPTZ NOT NULL DEFAULT now())`,
    );
    const { rows } = await client.query<Applied>(
      "SELECT number, name, checksum FROM airlock_migrations ORDER BY number",
    );
    checkApplied(rows, migrations);
    for (const [index, migration] of migrations.entries()) {
      if (index >= rows.length) await apply(client, index + 1, migration, log);
    }
  } catch (error) {
    throw new Error(`The database cannot be used: ${reasonOf(error, tables.service)}`);
  } finally {
    // The server undoes an open transaction when the connection closes.
    await client.end();
  }
}

/**
 * The number of PostgreSQL's advisory lock for the migrations of a service. The number is such that no other
 * program takes the same lock in this database.
 */
function lockOf({ postgresSchema }: ServiceTables): bigint {
  if (postgresSchema === undefined) return LOCK;
  return createHash("sha256").update(`airlock migrations of ${postgresSchema}`).digest().readBigInt64BE();
}

async function checkServer(client: Client): Promise<void> {
  const { rows } = await client.query<{ version: number; encoding: string }>(
    "SELECT current_setting('server_version_num')::int / 10000 AS version, current_setting('server_encoding') AS encoding",
  );
  const { version = 0, encoding = "" } = rows[0] ?? {};
  if (version < OLDEST_SERVER) {
    throw new Error(`the server is PostgreSQL ${version}; it must be ${OLDEST_SERVER} or newer`);
  }
  if (encoding !== "UTF8") {
    throw new Error(`its encoding is ${encoding}; create a database with ENCODING 'UTF8' TEMPLATE template0`);
  }
}

/**
 * Creates the schema when it is missing. Throws when this connection would use the tables of another schema.
 */
async function enterSchema(client: Client, schema: string): Promise<void> {
  // CREATE SCHEMA IF NOT EXISTS needs the right to create schemas even when the schema exists, and an
  // operator may have created it for a database user without that right.
  const made = await client.query("SELECT FROM pg_namespace WHERE nspname = $1", [schema]);
  if (made.rowCount === 0) await client.query(`CREATE SCHEMA ${schema}`);
  const { rows } = await client.query<{ current: string | null }>("SELECT current_schema() AS current");
  const current = rows[0]?.current;
  // A connection pooler such as PgBouncer may ignore the search path that the connection asks for.
  if (current !== schema) {
    throw new Error(
      `tables of this connection are in the schema ${current}, not in ${schema}. Give the role its search path: ALTER ROLE … SET search_path = ${schema}`,
    );
  }
}

function checkApplied(applied: readonly Applied[], migrations: readonly Migration[]): void {
  for (const [index, { number, name, checksum }] of applied.entries()) {
    const own = migrations[index];
    if (!own) {
      throw new Error(
        `a newer Airlock has written it (migration ${name}), and this Airlock knows ${migrations.length} migrations. Start the newer Airlock`,
      );
    }
    if (number !== index + 1 || own.checksum !== checksum) {
      throw new Error(
        `the database has migration ${name} with checksum ${checksum.slice(0, 12)}, this Airlock has ${own.name} with ${own.checksum.slice(0, 12)}. Start the release that wrote the database, or restore the file`,
      );
    }
  }
}

async function apply(
  client: Client,
  number: number,
  { name, sql, checksum }: Migration,
  log: Log,
): Promise<void> {
  const startedAtMs = performance.now();
  await client.query("BEGIN");
  await client.query(sql);
  await client.query("INSERT INTO airlock_migrations (number, name, checksum) VALUES ($1, $2, $3)", [
    number,
    name,
    checksum,
  ]);
  await client.query("COMMIT");
  log.info({ migration: name, tookMs: Math.round(performance.now() - startedAtMs) }, "database migrated");
}

function reasonOf(error: unknown, service: string): string {
  if (error instanceof DatabaseError && error.code === LOCK_NOT_HAD) {
    return `another ${service} has been migrating it for ${LOCK_WAIT_MS / 60_000} minutes`;
  }
  return describe(error);
}

import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Client, type ClientConfig, DatabaseError } from "pg";
import type { Log } from "#common/service/log.ts";
import { describe } from "./errors.ts";

/**
 * One step of the schema, from a file `NNNN-name.sql`. Databases remember its checksum, so the file must
 * never change.
 */
export type Migration = { readonly name: string; readonly sql: string; readonly checksum: string };

type Applied = { number: number; name: string; checksum: string };

export const MIGRATIONS_DIRECTORY = join(import.meta.dirname, "..", "migrations");
const OLDEST_SERVER = 14;
const LOCK_WAIT_MS = 5 * 60_000;
const LONGEST_STEP_MS = 30 * 60_000;
// The number of an advisory lock that no other program takes in this database. It stays the same for ever,
// so that routers of two versions exclude each other.
const LOCK = "27424471910902635";
const LOCK_NOT_HAD = "55P03";

/** Reads the migrations of a directory. The first file is number 1. Rejects when a number is missing. */
export async function readMigrations(directory = MIGRATIONS_DIRECTORY): Promise<Migration[]> {
  const files = (await readdir(directory)).filter((file) => file.endsWith(".sql")).sort();
  return await Promise.all(
    files.map(async (file, index) => {
      if (Number(/^(\d{4})-/.exec(file)?.[1]) !== index + 1) {
        throw new Error(`${file} is not migration ${index + 1}; they are numbered without a gap`);
      }
      const sql = await readFile(join(directory, file), "utf8");
      return {
        name: file.replace(/\.sql$/, ""),
        sql,
        checksum: createHash("sha256").update(sql).digest("hex"),
      };
    }),
  );
}

/**
 * Applies the missing migrations to the database, each in its own transaction. After a crash, the next start
 * continues behind the last complete one. Routers that start together take turns. Rejects with the reason
 * when the server is unsuitable, the database was written by a newer Airlock, or one of its migrations
 * differs from ours.
 */
export async function migrate(
  config: ClientConfig,
  migrations: readonly Migration[],
  log: Log,
): Promise<void> {
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
    // Without this setting, a server may notice the death of a router late, and keep its lock until then.
    await client.query("SET client_connection_check_interval = '1s'");
    await client.query(`SELECT pg_advisory_lock(${LOCK})`);
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
    throw new Error(`The database cannot be used: ${reasonOf(error)}`);
  } finally {
    // An open transaction ends with the connection.
    await client.end();
  }
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
    throw new Error(`its encoding is ${encoding}; create one with ENCODING 'UTF8' TEMPLATE template0`);
  }
}

function checkApplied(applied: readonly Applied[], migrations: readonly Migration[]): void {
  for (const [index, { number, name, checksum }] of applied.entries()) {
    const own = migrations[index];
    if (!own) {
      throw new Error(
        `a newer Airlock has written it (migration ${name}); this one knows ${migrations.length} migrations. Start the newer one`,
      );
    }
    if (number !== index + 1 || own.checksum !== checksum) {
      throw new Error(
        `it has migration ${name} with checksum ${checksum.slice(0, 12)}, this Airlock has ${own.name} with ${own.checksum.slice(0, 12)}. Start the release that wrote the database, or restore the file`,
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

function reasonOf(error: unknown): string {
  if (error instanceof DatabaseError && error.code === LOCK_NOT_HAD) {
    return `another router has been migrating it for ${LOCK_WAIT_MS / 60_000} minutes`;
  }
  return describe(error);
}

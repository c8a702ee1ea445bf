import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { readMigrations } from "#common/database/migrations.ts";
import { readClientConfig } from "#common/database/postgres/client-config.ts";
import { migrate } from "#common/database/postgres/migrate.ts";
import { ROW_BYTES } from "../../../services/router/store/stored-bytes.ts";
import { ROUTER_TABLES } from "../../../services/router/store/tables.ts";
import {
  postgresMissing,
  startPostgres,
  type TestDatabase,
  type TestPostgres,
} from "../../harness/postgres.ts";

const missing = postgresMissing();
const MIGRATIONS = ROUTER_TABLES.migrations;
const log = pino({ level: "silent" });
const PROCESS = join(import.meta.dirname, "..", "..", "harness", "migrate-process.ts");
// Migrations that wait in their middle for as long as the test holds this lock.
const GATE = 42;
const HALTS_IN_A_STATEMENT = `CREATE TABLE half (id INTEGER); SELECT pg_advisory_xact_lock(${GATE});
  INSERT INTO half VALUES (1);`;
const HALTS_BEFORE_IT_IS_RECORDED = `CREATE TABLE half (id INTEGER); INSERT INTO half VALUES (1);
  CREATE FUNCTION halt() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_advisory_xact_lock(${GATE}); RETURN NEW; END $$;
  CREATE TRIGGER halt BEFORE INSERT ON airlock_migrations FOR EACH ROW EXECUTE FUNCTION halt();`;
const APPLIED = "SELECT number, name FROM airlock_migrations ORDER BY number";

describe.skipIf(missing)(`migrations of a real PostgreSQL${missing ? ` (${missing})` : ""}`, () => {
  let postgres: TestPostgres;
  let database: TestDatabase;
  let directory: string;
  let own: string[];

  const write = (name: string, sql: string) => writeFile(join(directory, `${name}.postgres.sql`), sql);
  const migrateHere = async (migrations = directory) => {
    const tables = { ...ROUTER_TABLES, migrations };
    await migrate(await readClientConfig(database.config, tables), tables, log);
  };
  const expectApplied = async (...names: string[]) => {
    const applied = [...own, ...names].map((name, index) => ({ number: index + 1, name }));
    expect(await database.sql(APPLIED)).toEqual(applied);
  };

  beforeAll(async () => {
    // Commits reach the disk: what is shown here is what is left after a crash.
    postgres = await startPostgres({ durable: true });
    own = readMigrations(MIGRATIONS, "postgres").map(({ name }) => name);
  });
  afterAll(async () => {
    await postgres.remove();
  });
  beforeEach(async () => {
    database = await postgres.newDatabase();
    directory = await mkdtemp(join(tmpdir(), "airlock-migrations-"));
    for (const file of await readdir(MIGRATIONS)) {
      await copyFile(join(MIGRATIONS, file), join(directory, file));
    }
  });
  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  it("migrations of PostgreSQL are applied once, in order, by five routers that start together", async () => {
    await write(`${next()}-added`, "CREATE TABLE added (id INTEGER)");
    await Promise.all(Array.from({ length: 5 }, () => migrateHere()));
    await expectApplied(`${next()}-added`);
    await migrateHere();
    await expectApplied(`${next()}-added`);
  });

  it("migrations of PostgreSQL are refused when one that the database has was changed", async () => {
    await migrateHere();
    const [first = ""] = own;
    await write(first, "CREATE TABLE executions ()");
    await expect(migrateHere()).rejects.toThrow(
      new RegExp(
        `cannot be used: the database has migration ${first} with checksum [0-9a-f]{12}, this Airlock has`,
      ),
    );
  });

  it("migrations of PostgreSQL are refused when the database has more of them, and nothing is changed", async () => {
    await write(`${next()}-later`, "CREATE TABLE later (id INTEGER)");
    await migrateHere();
    await expect(migrateHere(MIGRATIONS)).rejects.toThrow(/a newer Airlock has written it .*-later/);
    await expectApplied(`${next()}-later`);
  });

  it("migrations of PostgreSQL that fail leave no trace, and the earlier data stays", async () => {
    await write(`${next()}-broken`, "CREATE TABLE half (id INTEGER); SELECT 1 / 0;");
    await expect(migrateHere()).rejects.toThrow(/PostgreSQL says 22012: division by zero/);
    await expectApplied();
    expect(await tables()).not.toContain("half");
    await write(`${next()}-broken`, "CREATE TABLE half (id INTEGER)");
    await migrateHere();
    expect(await tables()).toContain("half");
  });

  it("migrations of PostgreSQL are refused by a database of another encoding", async () => {
    await database.sql(
      "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'",
    );
    const { address } = database.config;
    database = { ...database, config: { ...database.config, address: { ...address, database: "latin" } } };
    await expect(migrateHere()).rejects.toThrow(/its encoding is LATIN1; create a database with/);
  });

  it("migrations of PostgreSQL report a database that does not exist", async () => {
    const { address } = database.config;
    database = { ...database, config: { ...database.config, address: { ...address, database: "none" } } };
    await expect(migrateHere()).rejects.toThrow(/cannot be used: .* database "none" does not exist/);
  });

  it("migrations of PostgreSQL count the stored bytes of executions that existed before", async () => {
    await rm(join(directory, "0005-stored-bytes.postgres.sql"));
    for (const name of own.slice(5)) await rm(join(directory, `${name}.postgres.sql`));
    await migrateHere();
    await database.sql(
      `INSERT INTO executions (execution_id, project, status, code, timeout_ms, settings, memory, created_at_ms, end_reason,
         error, ended_at_ms)
       VALUES ('1', 'demo', 'error', 'pass', 1, '{}', '{}', 1, 'killed', 'why', 2),
         ('2', 'demo', 'pending', 'pass', 1, '{}', '{}', 1, NULL, NULL, NULL)`,
    );
    await database.sql("INSERT INTO execution_output VALUES ('1', 0, 'one', 'two')");
    await migrateHere(MIGRATIONS);
    const rows = await database.sql(
      "SELECT stored_bytes::int AS bytes FROM executions ORDER BY execution_id",
    );
    const bytes = ROW_BYTES + "pass{}{}null{}".length;
    expect(rows).toEqual([{ bytes: bytes + "why".length + "onetwo".length }, { bytes }]);
    const total = "SELECT project, sum(bytes)::int AS bytes FROM stored_bytes GROUP BY project";
    expect(await database.sql(total)).toEqual([{ project: "demo", bytes: 2 * bytes + 9 }]);
    await database.sql("DELETE FROM executions");
    expect(await database.sql(total)).toEqual([{ project: "demo", bytes: 0 }]);
    // An ended execution is as final as before.
    await database.sql(
      `INSERT INTO executions (execution_id, project, status, code, timeout_ms, settings, memory, created_at_ms, end_reason,
         ended_at_ms) VALUES ('3', 'demo', 'error', '', 1, '{}', '{}', 1, 'killed', 2)`,
    );
    await expect(database.sql("UPDATE executions SET code = 'x'")).rejects.toThrow(/never goes back/);
  });

  it("migrations of PostgreSQL are numbered without a gap", async () => {
    await write("0099-far", "SELECT 1");
    await expect(migrateHere()).rejects.toThrow(/0099-far\.postgres\.sql is not migration/);
  });

  describe("interrupted in their middle", () => {
    let gate: Client;
    let router: ChildProcess;
    /** Its exit status; null when a signal ended it. */
    let exited: Promise<number | null>;

    const startUntilItHalts = async (migration: string) => {
      await write(`${next()}-gated`, migration);
      gate = await holdGate();
      router = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", PROCESS, directory], {
        env: { ...process.env, AIRLOCK_DATABASE_URL: database.url },
        stdio: "ignore",
      });
      exited = once(router, "exit").then(([status]) => status as number | null);
      await expect.poll(() => database.sql(WAITS)).toHaveLength(1);
    };
    afterEach(async () => {
      router.kill("SIGKILL");
      await exited;
      await gate.end();
    });

    it.each([
      ["in a statement", HALTS_IN_A_STATEMENT],
      ["before it is recorded", HALTS_BEFORE_IT_IS_RECORDED],
    ])("migrations whose router is killed %s are done whole by the next start", async (_where, migration) => {
      await startUntilItHalts(migration);
      router.kill("SIGKILL");
      await exited;
      // The server notices by itself, though the statement has not come to its end.
      await expect.poll(() => database.sql(WAITS)).toHaveLength(0);
      await expectApplied();
      expect(await tables()).not.toContain("half");
      await gate.end();
      await migrateHere();
      await expectApplied(`${next()}-gated`);
      expect(await database.sql("SELECT id FROM half")).toEqual([{ id: 1 }]);
    });

    it("migrations whose server is killed in their middle are done whole by the next start", async () => {
      await startUntilItHalts(HALTS_IN_A_STATEMENT);
      await postgres.crash();
      expect(await exited).toBe(1);
      await postgres.start();
      await expectApplied();
      expect(await tables()).not.toContain("half");
      await migrateHere();
      await expectApplied(`${next()}-gated`);
      expect(await database.sql("SELECT id FROM half")).toEqual([{ id: 1 }]);
    });

    it("a slow migration makes another router wait for its turn", async () => {
      await startUntilItHalts(HALTS_BEFORE_IT_IS_RECORDED);
      const second = migrateHere();
      await expect.poll(() => database.sql(WAITS)).toHaveLength(2);
      await gate.end();
      await second;
      expect(await exited).toBe(0);
      await expectApplied(`${next()}-gated`);
    });
  });

  const WAITS =
    "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";

  /** The number of the first migration that Airlock does not have yet. */
  function next(): string {
    return String(own.length + 1).padStart(4, "0");
  }

  async function tables(): Promise<string[]> {
    const rows = await database.sql<{ tablename: string }>("SELECT tablename FROM pg_tables");
    return rows.map(({ tablename }) => tablename);
  }

  async function holdGate(): Promise<Client> {
    const { host, port, user, database: name } = database.config.address;
    const client = new Client({ host, port, user, database: name, password: postgres.password });
    client.on("error", () => undefined);
    await client.connect();
    await client.query(`SELECT pg_advisory_lock(${GATE})`);
    return client;
  }
});

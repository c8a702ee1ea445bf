import { pino } from "pino";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createCircuits } from "#common/resilience/circuits.ts";
import { systemClock as clock } from "#common/resilience/clock.ts";
import { openStore } from "../../../services/router/store/open.ts";
import {
  configOf,
  postgresMissing,
  startPostgres,
  type TestDatabase,
  type TestPostgres,
} from "../../harness/postgres.ts";
import { NOTES } from "../../support/notes.ts";
import { openTestDatabase } from "../../support/store-contract.ts";

const missing = postgresMissing();
const log = pino({ level: "silent" });
const ADD = { name: "add", text: "INSERT INTO notes (name, text, written_at_ms) VALUES ($1, 'text', 1)" };

describe.skipIf(missing)(`services in one PostgreSQL${missing ? ` (${missing})` : ""}`, () => {
  let postgres: TestPostgres;
  let database: TestDatabase;
  const circuits = () => createCircuits("airlock_notes", clock, log);
  const open = (tables = NOTES, url = database.url) => openTestDatabase(configOf(url), tables);
  const tablesNamed = (name: string) =>
    database.sql(`SELECT schemaname AS schema FROM pg_tables WHERE tablename = '${name}' ORDER BY 1`);

  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(async () => {
    await postgres.remove();
  });
  beforeEach(async () => {
    database = await postgres.newDatabase();
  });

  it("services in one PostgreSQL database have a schema each, and migrations of their own", async () => {
    const stores = await Promise.all([
      openStore(database.config, "router-1", clock, log, circuits()),
      open(),
      open({ ...NOTES, service: "other", postgresSchema: "other_2" }),
    ]);
    for (const store of stores) await store.close();
    expect(await tablesNamed("notes")).toEqual([{ schema: "notes" }, { schema: "other_2" }]);
    const schemas = ["notes", "other_2", "public"].map((schema) => ({ schema }));
    expect(await tablesNamed("airlock_migrations")).toEqual(schemas);
    expect(await tablesNamed("executions")).toEqual([{ schema: "public" }]);
  });

  it("services in one PostgreSQL database are named in its list of connections", async () => {
    const db = await open();
    const named =
      "SELECT application_name AS name FROM pg_stat_activity WHERE application_name LIKE 'airlock%'";
    await db.ping();
    expect(await database.sql(named)).toEqual([{ name: "airlock-notes" }]);
    await db.close();
  });

  it("services in one PostgreSQL database may have roles that make no schema and see no other one", async () => {
    await database.sql("CREATE ROLE notes_1 LOGIN PASSWORD 'word'");
    await database.sql("CREATE SCHEMA notes AUTHORIZATION notes_1");
    await (await openStore(database.config, "router-1", clock, log, circuits())).close();
    const url = database.url.replace(/\/\/.*@/, "//notes_1:word@");
    const db = await open(NOTES, url);
    expect(await db.change(ADD, ["a"])).toBe(1);
    const refused = db.rows({ text: "SELECT count(*) FROM public.executions" });
    await expect(refused).rejects.toMatchObject({ code: "internal" });
    await db.close();
    await expect(open({ ...NOTES, postgresSchema: "more" }, url)).rejects.toThrow(
      /cannot be used: .*permission denied for database/,
    );
  });

  it("services in one PostgreSQL database are refused when a connection is not in their schema", async () => {
    await database.sql("CREATE ROLE notes_2 LOGIN PASSWORD 'word'");
    await database.sql("CREATE SCHEMA notes");
    const url = database.url.replace(/\/\/.*@/, "//notes_2:word@");
    // Without the right to use a schema, PostgreSQL passes over it.
    await expect(open(NOTES, url)).rejects.toThrow(
      /tables of this connection are in the schema null, not in notes\. Give the role/,
    );
  });

  it("services in one PostgreSQL database outlive the loss of a connection in a transaction", async () => {
    const db = await open();
    const lost = db.transaction(async (statements) => {
      await statements.change(ADD, ["a"]);
      const [own] = await statements.rows<{ pid: number }>({ text: "SELECT pg_backend_pid() AS pid" });
      await database.sql(`SELECT pg_terminate_backend(${own?.pid})`);
      // Long enough for the driver to see the end of the connection while no statement is under way.
      await new Promise((resolve) => setTimeout(resolve, 100));
      await statements.change(ADD, ["b"]);
    });
    await expect(lost).rejects.toMatchObject({ code: "unavailable" });
    expect(await db.change(ADD, ["c"])).toBe(1);
    expect(await database.sql("SELECT name FROM notes.notes")).toEqual([{ name: "c" }]);
    await db.close();
  });

  it("services in one PostgreSQL database get each its own outcome of statements that are sent together", async () => {
    const db = await openTestDatabase({ ...database.config, maxConnections: 1 }, NOTES);
    const missing = { name: "missing", text: "SELECT * FROM missing" };
    const reasonOf = (error: Error) => String(error.cause);
    for (let round = 0; round < 3; round++) {
      const added = Array.from({ length: 40 }, (_, n) => db.change(ADD, [`${round}-${n}`]));
      const twice = Array.from({ length: 10 }, (_, n) => db.change(ADD, [`${round}-${n}`]).catch(reasonOf));
      const refused = Array.from({ length: 10 }, () => db.rows(missing).catch(reasonOf));
      expect(await Promise.all(added)).toEqual(Array(40).fill(1));
      for (const reason of await Promise.all(twice)) expect(reason).toContain("23505");
      for (const reason of await Promise.all(refused)) expect(reason).toContain("42P01");
    }
    expect(await db.rows({ text: "SELECT count(*)::int AS count FROM notes" })).toEqual([{ count: 120 }]);
    await db.close();
  });

  it("services in one PostgreSQL database get an outcome of every statement that an urgent one has overtaken", async () => {
    const db = await openTestDatabase({ ...database.config, maxConnections: 1 }, NOTES);
    // The connection is not open yet, so the urgent statement arrives before any other is sent.
    const first = db.change(ADD, ["a"]);
    const urgent = db.rows({ text: "SELECT 1 AS one", isUrgent: true });
    expect(await urgent).toEqual([{ one: 1 }]);
    expect(await first).toBe(1);
    await db.close();
  }, 10_000);

  it("services in one PostgreSQL database lose only what was under way when a connection breaks, and go on", async () => {
    const db = await openTestDatabase({ ...database.config, maxConnections: 1 }, NOTES);
    const slow = { name: "slow", text: "SELECT pg_sleep(3)" };
    await Promise.all(Array.from({ length: 20 }, () => db.ping()));
    const underWay = db.rows(slow).catch(({ code }: { code: string }) => code);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const waiting = Array.from({ length: 40 }, (_, n) => db.change(ADD, [`${n}`]));
    const [own] = await database.sql<{ pid: number }>(
      "SELECT pid FROM pg_stat_activity WHERE application_name = 'airlock-notes'",
    );
    await database.sql(`SELECT pg_terminate_backend(${own?.pid})`);
    expect(await underWay).toBe("unavailable");
    expect(await Promise.all(waiting)).toEqual(Array(40).fill(1));
    await db.close();
  });

  it("services in one PostgreSQL database give a transaction's connection back, however it ends", async () => {
    const db = await openTestDatabase({ ...database.config, maxConnections: 1 }, NOTES);
    for (let round = 0; round < 3; round++) {
      const refused = db.transaction((statements) => statements.rows({ text: "SELECT 1 / 0" }));
      await expect(refused).rejects.toMatchObject({ code: "internal" });
      await db.transaction((statements) => statements.change(ADD, [`${round}`]));
    }
    await db.close();
  });
});

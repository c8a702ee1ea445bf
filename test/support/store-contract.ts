import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, beforeEach, describe } from "vitest";
import type { DatabaseConfig } from "#common/database/config.ts";
import type { Database } from "#common/database/database.ts";
import { openDatabase } from "#common/database/open.ts";
import type { Dialect, ServiceTables } from "#common/database/tables.ts";
import { createCircuits } from "#common/resilience/circuits.ts";
import { systemClock as clock } from "#common/resilience/clock.ts";
import { postgresMissing, startPostgres, type TestPostgres } from "../harness/postgres.ts";

const log = pino({ level: "silent" });

/** A database for one test, which is empty when the test begins. */
export type EmptyDatabase = {
  readonly config: DatabaseConfig;
  /** Runs SQL on a connection of its own. Resolves to the rows of a single statement. */
  sql<Row extends object>(text: string): Promise<Row[]>;
};

/** A store for one test, in a database of its own. */
export type StoreUnderTest<Store> = Pick<EmptyDatabase, "sql"> & {
  readonly store: Store;
  close(): Promise<void>;
  /** Closes the store, unless it is closed, and opens it again, as a restart of its service does. */
  reopen(): Promise<Store>;
};

/**
 * Defines the tests of a store once for SQLite and once for PostgreSQL, so that both keep the same contract.
 * Each test has an empty store in a database of its own, which is closed after the test. The tests for
 * PostgreSQL are skipped, with the reason, on a machine without it.
 *
 * ```ts
 * describeStore(
 *   "the store of notes",
 *   async (config) => createNotesStore(await openTestDatabase(config, NOTES_TABLES)),
 *   (test, dialect) => {
 *     it(`the store of notes keeps a note over a restart on ${dialect}`, async () => {
 *       await test.store.put(NOTE);
 *       expect(await (await test.reopen()).list()).toEqual([NOTE]);
 *     });
 *   },
 * );
 * ```
 */
export function describeStore<Store extends { close(): Promise<void> }>(
  name: string,
  open: (config: DatabaseConfig) => Promise<Store>,
  defineTests: (test: StoreUnderTest<Store>, dialect: Dialect) => void,
): void {
  describeOnBothDatabases(name, (database, dialect) => {
    let store: Store | undefined;
    const close = async () => {
      const opened = store;
      store = undefined;
      await opened?.close();
    };
    const reopen = async () => {
      await close();
      store = await open(database.config);
      return store;
    };
    beforeEach(async () => {
      await reopen();
    });
    afterEach(close);
    const test: StoreUnderTest<Store> = {
      get store() {
        if (!store) throw new Error("the store is closed");
        return store;
      },
      close,
      reopen,
      sql: (text) => database.sql(text),
    };
    defineTests(test, dialect);
  });
}

/** Opens a service's database as its `main.ts` does, with its own circuit breaker and without a log. */
export function openTestDatabase(config: DatabaseConfig, tables: ServiceTables): Promise<Database> {
  return openDatabase(config, tables, createCircuits("airlock_test", clock, log), clock, log);
}

/** Defines tests once for SQLite and once for PostgreSQL. Each test has an empty database of its own. */
export function describeOnBothDatabases(
  name: string,
  defineTests: (database: EmptyDatabase, dialect: Dialect) => void,
): void {
  describe(`${name} in SQLite`, () => defineTests(useSqlite(), "sqlite"));
  const missing = postgresMissing();
  describe.skipIf(missing)(`${name} in PostgreSQL${missing ? ` (${missing})` : ""}`, () =>
    defineTests(usePostgres(), "postgres"),
  );
}

function useSqlite(): EmptyDatabase {
  let directory: string;
  let files = 0;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "airlock-sqlite-"));
  });
  afterAll(async () => {
    await rm(directory, { recursive: true });
  });
  beforeEach(() => {
    files += 1;
  });
  const path = () => join(directory, `${files}.db`);
  return {
    get config() {
      return { kind: "sqlite", path: path() } as const;
    },
    async sql(text) {
      const db = new DatabaseSync(path());
      try {
        const isQuery = /^\s*(SELECT|PRAGMA)\b[^;]*;?\s*$/i.test(text);
        if (isQuery) return db.prepare(text).all() as never[];
        db.exec(text);
        return [];
      } finally {
        db.close();
      }
    },
  };
}

function usePostgres(): EmptyDatabase {
  let postgres: TestPostgres;
  let database: Awaited<ReturnType<TestPostgres["newDatabase"]>>;
  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(async () => {
    await postgres.remove();
  });
  beforeEach(async () => {
    database = await postgres.newDatabase();
  });
  return {
    get config() {
      return database.config;
    },
    sql: (text) => database.sql(text),
  };
}

import { pino } from "pino";
import { afterAll, afterEach, beforeAll, beforeEach, expect } from "vitest";
import { type Clock, systemClock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import { openPostgresStore } from "../../services/router/store/postgres/store.ts";
import type { ExecutionStore } from "../../services/router/store/store.ts";
import { GRANT } from "../support/grant.ts";
import { SUBMISSION } from "../support/submission.ts";
import { startPostgres, type TestDatabase, type TestPostgres } from "./postgres.ts";

export const LLM_REQUEST = { id: "llm_1", prompt: "Say hello", model: "default" };

export type StoreOptions = { readonly clock?: Clock; readonly maxConnections?: number; readonly log?: Log };

export type PostgresStores = {
  readonly postgres: TestPostgres;
  readonly database: TestDatabase;
  /** Opens a store as the router `routerId`; it is closed after the test. */
  open(routerId: string, options?: StoreOptions): Promise<ExecutionStore>;
  /** Closes a store before the end of the test. */
  close(store: ExecutionStore): Promise<void>;
};

/** Starts a PostgreSQL server for the tests of a file, and makes a new database for each test. */
export function usePostgresStores(): PostgresStores {
  let postgres: TestPostgres;
  let database: TestDatabase;
  let stores: ExecutionStore[] = [];
  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(async () => {
    await postgres.remove();
  });
  beforeEach(async () => {
    database = await postgres.newDatabase();
  });
  afterEach(async () => {
    for (const store of stores) await store.close();
    stores = [];
  });
  return {
    get postgres() {
      return postgres;
    },
    get database() {
      return database;
    },
    async open(routerId, { clock = systemClock, maxConnections = 4, log = pino({ level: "silent" }) } = {}) {
      const store = await openPostgresStore({ ...database.config, maxConnections }, routerId, clock, log);
      stores.push(store);
      return store;
    },
    async close(store) {
      stores = stores.filter((other) => other !== store);
      await store.close();
    },
  };
}

/** Adds a pending execution of this store's router. */
export async function submit(store: ExecutionStore, executionId = "0001", project = "demo"): Promise<string> {
  expect(await store.insert({ ...SUBMISSION, executionId, project })).toBe(true);
  return executionId;
}

/** Adds a running execution of this store's router. */
export async function running(store: ExecutionStore, executionId = "0001"): Promise<string> {
  await submit(store, executionId);
  expect(await store.start(executionId, 1, GRANT)).toBeDefined();
  return executionId;
}

/** Counts the changes of an execution that a store reports from now on. */
export function countChanges(store: ExecutionStore, executionId: string): { count: number } {
  const heard = { count: 0 };
  store.onChange(executionId, () => {
    heard.count += 1;
  });
  return heard;
}

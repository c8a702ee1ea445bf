import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { AirlockError } from "#common/errors.ts";
import type { ExecutionStore } from "../../../services/router/store/store.ts";
import { postgresMissing } from "../../harness/postgres.ts";
import { usePostgresStores } from "../../harness/postgres-stores.ts";
import { startServices } from "../../harness/services.ts";
import { SUBMISSION } from "../../support/submission.ts";

const missing = postgresMissing();
const AT_ONCE = 200;
// Longer than a connection may take to be opened, shorter than a statement may wait for a lock.
const BUSY_MS = 4_000;

describe.skipIf(missing)(`a router whose database is busy${missing ? ` (${missing})` : ""}`, () => {
  const stores = usePostgresStores();
  const insert = (store: ExecutionStore, n: number) =>
    store
      .insert({ ...SUBMISSION, executionId: `b-${String(n).padStart(4, "0")}`, createdAtMs: n })
      .catch((error: unknown) => error);
  /** Keeps every writer waiting until the returned function is called. */
  const lockExecutions = async () => {
    const { host, port, user, database } = stores.database.config.address;
    const client = new Client({ host, port, user, database, password: stores.postgres.password });
    await client.connect();
    await client.query("BEGIN");
    await client.query("LOCK TABLE executions IN SHARE MODE");
    return () => client.end();
  };

  it("a router whose database is busy adds 200 executions over two connections, and no caller gets an outage error", async () => {
    const lines: string[] = [];
    const log = pino({ level: "info" }, { write: (line: string) => void lines.push(line) });
    const store = await stores.open("a", { maxConnections: 2, log });
    const unlock = await lockExecutions();
    const inserted = Promise.all(Array.from({ length: AT_ONCE }, (_, n) => insert(store, n)));
    await sleep(BUSY_MS);
    await unlock();
    expect(await inserted).toEqual(Array(AT_ONCE).fill(true));
    expect(lines.filter((line) => line.includes("circuit opened"))).toEqual([]);
  });

  it("a router whose database is busy says that it is busy, not away, when a statement waits for too long", async () => {
    const store = await stores.open("a", { maxConnections: 1 });
    const unlock = await lockExecutions();
    const error = await insert(store, 1);
    await unlock();
    expect(error).toBeInstanceOf(AirlockError);
    expect(error).toMatchObject({ code: "unavailable", message: expect.stringContaining("too busy") });
    expect(await insert(store, 2)).toBe(true);
  });

  it("a router whose database is busy accepts 200 submissions at once, and runs them all", async () => {
    const { config } = stores.database;
    const services = await startServices({ demo: "" }, { database: { ...config, maxConnections: 2 } });
    const submissions = Array.from({ length: AT_ONCE }, () =>
      services.submit({ project: "demo", code: "1" }),
    );
    const ids = await Promise.all(submissions);
    expect(new Set(ids).size).toBe(AT_ONCE);
    await expect
      .poll(async () => (await services.get(ids.at(-1) ?? "", 20_000)).status, { timeout: 100_000 })
      .toBe(4);
    const metrics = await services.routerMetrics();
    expect(metrics).toMatch(/airlock_router_circuit_opened_total\{circuit="database",project=""\} 0/);
    await services.close();
  }, 120_000);
});

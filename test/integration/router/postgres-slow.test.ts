import { setTimeout as sleep } from "node:timers/promises";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { callUnary } from "#common/grpc/client.ts";
import { createCircuits } from "#common/resilience/circuits.ts";
import { systemClock } from "#common/resilience/clock.ts";
import { SubmitRequest } from "#proto/router.ts";
import { openPostgresStore } from "../../../services/router/store/postgres/store.ts";
import type { ExecutionStore } from "../../../services/router/store/store.ts";
import { type DatabaseProxy, startDatabaseProxy } from "../../harness/database-proxy.ts";
import {
  postgresMissing,
  startPostgres,
  type TestDatabase,
  type TestPostgres,
} from "../../harness/postgres.ts";
import { startServices } from "../../harness/services.ts";
import { SUBMISSION } from "../../support/submission.ts";

const missing = postgresMissing();
const AT_ONCE = 200;
const log = pino({ level: "silent" });

describe.skipIf(missing)(`a router whose database is slow${missing ? ` (${missing})` : ""}`, () => {
  let postgres: TestPostgres;
  let proxy: DatabaseProxy;
  let database: TestDatabase;
  let store: ExecutionStore | undefined;
  let circuits: ReturnType<typeof createCircuits>;

  beforeAll(async () => {
    postgres = await startPostgres({ tcp: true });
    proxy = await startDatabaseProxy(postgres);
  });
  afterAll(async () => {
    await proxy.close();
    await postgres.remove();
  });
  beforeEach(async () => {
    database = await postgres.newDatabase();
    circuits = createCircuits("airlock_router", systemClock, log);
  });
  afterEach(async () => {
    proxy.setLatency(0);
    await store?.close();
    store = undefined;
  });

  const config = (maxConnections: number) => ({ ...proxy.configOf(database), maxConnections });
  const open = async (maxConnections: number) => {
    store = await openPostgresStore(config(maxConnections), "a", systemClock, log, circuits);
    return store;
  };
  const insert = (into: ExecutionStore, n: number, signal?: AbortSignal) => {
    const executionId = `s-${String(n).padStart(4, "0")}`;
    return into
      .insert({ ...SUBMISSION, executionId, createdAtMs: n }, {}, undefined, signal)
      .catch((error: { code: string; message: string }) => `${error.code}: ${error.message}`);
  };
  const insertAll = (into: ExecutionStore) =>
    Promise.all(Array.from({ length: AT_ONCE }, (_, n) => insert(into, n)));
  /** Makes each insert of an execution take so long at the server. */
  const slowDown = (seconds: number) =>
    database.sql(
      `CREATE OR REPLACE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN PERFORM pg_sleep(${seconds}); RETURN NEW; END $$;
       CREATE OR REPLACE TRIGGER slow BEFORE INSERT ON executions FOR EACH ROW EXECUTE FUNCTION slow()`,
    );
  const stored = async () =>
    (await database.sql<{ count: number }>("SELECT count(*)::int AS count FROM executions"))[0]?.count;
  const opened = async () =>
    (await circuits.registry.getMetricsAsJSON()).find(({ name }) => name.endsWith("opened_total"))?.values[0]
      ?.value;

  it("a router whose database is slow adds 200 executions at once over two connections, however long the way to it is", async () => {
    const into = await open(2);
    proxy.setLatency(150);
    expect(await insertAll(into)).toEqual(Array(AT_ONCE).fill(true));
    expect(await opened()).toBe(0);
  }, 60_000);

  it("a router whose database is slow lets statements wait for its own connections for longer than one statement may take", async () => {
    const into = await open(2);
    await slowDown(0.15);
    const beganMs = performance.now();
    expect(await insertAll(into)).toEqual(Array(AT_ONCE).fill(true));
    expect(performance.now() - beganMs).toBeGreaterThan(12_000);
    expect(await opened()).toBe(0);
  }, 60_000);

  it("a router whose database is slow is ready while its connections are busy", async () => {
    const into = await open(1);
    await slowDown(0.1);
    const all = Promise.all(Array.from({ length: 60 }, (_, n) => insert(into, n)));
    await sleep(200);
    for (let n = 0; n < 5; n++) {
      const beganMs = performance.now();
      await into.ping();
      expect(performance.now() - beganMs).toBeLessThan(3_000);
    }
    await all;
  }, 60_000);

  it("a router that stood still while it connected takes no answer for missing", async () => {
    const into = await open(8);
    const inserted = Promise.all(Array.from({ length: 20 }, (_, n) => insert(into, n)));
    // The connections are under way, and nothing of this process runs for longer than a connection may take.
    await sleep(1);
    const beganMs = performance.now();
    while (performance.now() - beganMs < 4_000);
    expect(await inserted).toEqual(Array(20).fill(true));
    expect(await opened()).toBe(0);
  }, 60_000);

  it("a router whose database is slow does not store what its caller has given up while it waited", async () => {
    const into = await open(1);
    await slowDown(0.5);
    const first = insert(into, 1);
    await sleep(100);
    const signal = AbortSignal.timeout(100);
    expect(await insert(into, 2, signal)).toMatch(/^deadline_exceeded: /);
    expect(await first).toBe(true);
    expect(await stored()).toBe(1);
  });

  it("a router whose database is slow refuses what would wait behind thousands, and says that the database is busy", async () => {
    const into = await open(1);
    await slowDown(3);
    const waiting = Array.from({ length: 6_000 }, (_, n) => insert(into, n, AbortSignal.timeout(1_500)));
    const outcomes = await Promise.all(waiting);
    const refused = outcomes.filter((outcome) => String(outcome).startsWith("unavailable"));
    expect(refused.length).toBeGreaterThan(500);
    for (const refusal of refused) expect(refusal).toMatch(/too many requests wait for it/);
    expect(await opened()).toBe(0);
  }, 30_000);

  it("a router whose database is slow answers a caller's own deadline as such", async () => {
    const services = await startServices({ demo: "replicas: 1\n" }, { database: config(1) });
    try {
      const { router } = services;
      const submit = (timeoutMs: number) =>
        callUnary(
          router,
          router.submit,
          SubmitRequest.fromPartial({ project: "demo", code: "1" }),
          "router",
          {
            timeoutMs,
          },
        ).then(
          () => "accepted",
          ({ code }: { code: string }) => code,
        );
      expect(await submit(5_000)).toBe("accepted");
      await slowDown(1);
      const patient = submit(10_000);
      await sleep(100);
      expect(await submit(300)).toBe("deadline_exceeded");
      expect(await patient).toBe("accepted");
      await sleep(1_500);
      expect(await stored()).toBe(2);
    } finally {
      await services.close();
    }
  }, 60_000);
});

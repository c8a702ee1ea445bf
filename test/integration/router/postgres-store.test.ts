import { setTimeout as sleep } from "node:timers/promises";
import { inspect } from "node:util";
import { Client } from "pg";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import type { Submitter } from "#common/identity/ownership.ts";
import { type Ending, failure, NO_OUTPUT } from "../../../services/router/execution.ts";
import {
  COUNT_QUEUES,
  DELETE_ENDED,
  DELETE_OLDEST_ENDED,
  INSERT,
  list,
  listDeadLetters,
} from "../../../services/router/store/postgres/statements.ts";
import { postgresMissing } from "../../harness/postgres.ts";
import {
  countChanges,
  LLM_REQUEST,
  running,
  submit,
  usePostgresStores,
} from "../../harness/postgres-stores.ts";
import { SUBMISSION } from "../../support/submission.ts";

const missing = postgresMissing();
const ALL = { project: undefined, status: undefined, limit: 51, before: undefined };
const TENANT = { tenant: "default", principal: undefined };
const LOCAL = { tenant: "default", principal: "system:local" };
const OTHER = { tenant: "default", principal: "key:other" };
const WHOSE = ["default", "system:local", ""];
const COMPLETED: Ending = { ...failure("killed", ""), reason: "completed", error: null, resultJson: "[1.0]" };

describe.skipIf(missing)(`a real PostgreSQL${missing ? ` (${missing})` : ""}`, () => {
  const stores = usePostgresStores();
  /** Another client of the same database, in a transaction. */
  const otherTransaction = async (statement: string, ...values: unknown[]) => {
    const { host, port, user, database } = stores.database.config.address;
    const other = new Client({ host, port, user, database, password: stores.postgres.password });
    await other.connect();
    await other.query("BEGIN");
    await other.query(statement, values);
    return other;
  };

  it("the PostgreSQL store shows redactions that routers of an earlier release have stored", async () => {
    const store = await stores.open("router-1");
    const id = await running(store);
    await stores.database.sql(
      `INSERT INTO execution_redactions VALUES ('${id}', 'TOKEN', 'stdout', 2), ('${id}', 'KEY', 'stdout', 1)`,
    );
    await store.addRedactions(id, [{ secret: "TOKEN", field: "stdout", count: 3 }]);
    expect(await store.getRedactions(id)).toEqual([
      { secret: "KEY", field: "stdout", count: 1 },
      { secret: "TOKEN", field: "stdout", count: 5 },
    ]);
  });

  it("a router of an earlier release adds executions and idempotency keys of system:local while a deployment is upgraded", async () => {
    const store = await stores.open("router-1");
    const insert = (id: string) =>
      stores.database.sql(
        `WITH keyed AS (
           INSERT INTO idempotency_keys (key, fingerprint, execution_id, created_at_ms) SELECT 'once', 'print', '${id}', 1
           ON CONFLICT (key) DO NOTHING RETURNING key)
         INSERT INTO executions (execution_id, project, status, owner, code, timeout_ms, settings, memory, created_at_ms)
         SELECT '${id}', 'demo', 'pending', 'before', '', 1, '{}', '{}', 1 WHERE EXISTS (SELECT FROM keyed)`,
      );
    await insert("old-1");
    await insert("old-2");
    expect(await store.getIdempotencyKey("once")).toEqual({ fingerprint: "print", executionId: "old-1" });
    expect((await store.read("old-1"))?.submitter).toEqual({
      tenant: "default",
      principal: "system:local",
      maker: "",
    });
    expect(await store.get("old-2")).toBeUndefined();
    const idempotency = { key: "once", fingerprint: "print" };
    const insertNew = (executionId: string, ...more: [submitter?: Submitter]) =>
      store.insert({ ...SUBMISSION, executionId }, { idempotency }, ...more);
    expect(await insertNew("new-1")).toBe(false);
    expect(await insertNew("new-2", { tenant: "default", principal: "key:ci", maker: "" })).toBe(true);
  });

  describe("the database itself", () => {
    it("the PostgreSQL database lets nothing of an ended execution change but its counted bytes", async () => {
      const namesOf = async (from: string) =>
        (await stores.database.sql<{ name: string }>(`SELECT ${from} ORDER BY 1`)).map(({ name }) => name);
      const columns = await namesOf(
        "column_name AS name FROM information_schema.columns WHERE table_name = 'executions'",
      );
      const trigger = "trigger_name = 'executions_never_go_back'";
      const guarded = await namesOf(
        `event_object_column AS name FROM information_schema.triggered_update_columns WHERE ${trigger}`,
      );
      expect(guarded).toEqual(columns.filter((name) => name !== "stored_bytes"));
    });

    it.each([
      ["an ended status changes", "UPDATE executions SET status = 'running' WHERE execution_id = 'ended'"],
      ["an ended result changes", "UPDATE executions SET result = '2' WHERE execution_id = 'ended'"],
      [
        "an ended one is reopened",
        "UPDATE executions SET status = 'pending', end_reason = NULL, ended_at_ms = NULL WHERE execution_id = 'ended'",
      ],
      [
        "a started one is pending again",
        "UPDATE executions SET status = 'pending' WHERE execution_id = 'running'",
      ],
      ["an epoch goes back", "UPDATE executions SET epoch = 0 WHERE execution_id = 'running'"],
      ["there is a seventh status", "UPDATE executions SET status = 'paused' WHERE execution_id = 'running'"],
      [
        "there is an unknown end reason",
        "UPDATE executions SET status = 'error', end_reason = 'bad', ended_at_ms = 1 WHERE execution_id = 'running'",
      ],
      [
        "one ends without a reason",
        "UPDATE executions SET status = 'error', ended_at_ms = 1 WHERE execution_id = 'running'",
      ],
      [
        "one ends at no time",
        "UPDATE executions SET status = 'error', end_reason = 'killed' WHERE execution_id = 'running'",
      ],
      [
        "a failure is called completed",
        "UPDATE executions SET status = 'completed', end_reason = 'killed', ended_at_ms = 1 WHERE execution_id = 'running'",
      ],
      [
        "an execution waits without an llm request",
        "UPDATE executions SET status = 'awaiting_llm' WHERE execution_id = 'running'",
      ],
      [
        "an execution waits for an llm request that is answered",
        "UPDATE executions SET llm_answer = 'x' WHERE execution_id = 'waiting'",
      ],
      [
        "an execution runs without a start time",
        "UPDATE executions SET status = 'running' WHERE execution_id = 'pending'",
      ],
      ["output belongs to no execution", "INSERT INTO execution_output VALUES ('none', 0, '', '')"],
      [
        "an id is taken twice",
        "INSERT INTO executions SELECT * FROM executions WHERE execution_id = 'ended'",
      ],
    ])("the PostgreSQL database refuses that %s", async (_what, statement) => {
      const store = await stores.open("a");
      await submit(store, "pending");
      await running(store, "running");
      await running(store, "waiting");
      await store.markAwaiting("waiting", LLM_REQUEST, 1);
      await running(store, "ended");
      await store.finish("ended", COMPLETED, NO_OUTPUT, 2);
      const all = "SELECT * FROM executions ORDER BY execution_id";
      const before = await stores.database.sql(all);
      await expect(stores.database.sql(statement)).rejects.toMatchObject({
        code: expect.stringMatching(/^23/),
      });
      expect(await stores.database.sql(all)).toEqual(before);
    });

    it("the PostgreSQL database lets no output follow an ending that was committed first", async () => {
      const store = await stores.open("a");
      const id = await running(store);
      const other = await otherTransaction(
        "UPDATE executions SET status = 'error', end_reason = 'cancelled', ended_at_ms = 1 WHERE execution_id = $1",
        id,
      );
      const appended = store.appendOutput(id, { position: 0, stdout: "late", stderr: "" });
      await expect
        .poll(() => stores.database.sql("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))
        .toHaveLength(1);
      await other.query("COMMIT");
      await other.end();
      expect(await appended).toBe(false);
      expect(await store.get(id)).toMatchObject({ stdout: "", state: { status: "error" } });
    });
  });

  it("routers that remove executions at the same time remove no more than is too much", async () => {
    const [a, b] = [await stores.open("a"), await stores.open("b")];
    for (let n = 0; n < 10; n++) {
      const id = await running(a, `r-${n}`);
      await a.finish(id, COMPLETED, { position: 0, stdout: "x".repeat(100_000), stderr: "" }, 10 + n);
    }
    const [{ bytes = 0 } = {}] = await a.countStoredBytes();
    const racing = Array.from({ length: 16 }, (_, n) =>
      (n % 2 ? a : b).deleteOldestEnded("demo", bytes - 250_000, 100),
    );
    const removed = (await Promise.all(racing)).reduce((sum, removal) => sum + removal.removed, 0);
    expect(removed).toBe(3);
    expect(await b.get("r-2")).toBeUndefined();
    expect(await b.get("r-3")).toBeDefined();
  });

  describe("with many executions", () => {
    const expectIndex = async (text: string, values: unknown[]) => {
      const plan = JSON.stringify(await stores.database.sql(`EXPLAIN ${text}`, values));
      expect(plan).toMatch(/Index (Only )?Scan/);
      expect(plan).not.toMatch(/Seq Scan/);
    };
    const fill = async () => {
      await stores.open("a");
      await stores.database.sql(
        `INSERT INTO executions (execution_id, project, status, end_reason, code, timeout_ms, settings, memory, created_at_ms, ended_at_ms)
         SELECT 'id-' || lpad(n::text, 8, '0'), 'project-' || n % 7, status, status, '', 1, '{}', '{}', 1, 1
         FROM generate_series(1, 20000) AS n, LATERAL (SELECT CASE WHEN n % 100 = 0 THEN 'timeout' ELSE 'completed' END) AS s (status)`,
      );
      await stores.database.sql("ANALYZE executions");
    };

    it.each([
      {},
      { project: "project-3" },
      { status: "running" as const },
      { status: "completed" as const },
      { status: "timeout" as const },
      { project: "project-3", status: "timeout" as const },
      { project: "none", status: "completed" as const },
      { before: "id-00010000" },
      { scope: TENANT },
      { scope: TENANT, project: "project-3", status: "timeout" as const },
      { scope: LOCAL },
      { scope: OTHER },
      { scope: OTHER, status: "completed" as const },
      { scope: OTHER, retryOf: "id-00010000" },
    ])("the PostgreSQL store with many executions finds a page of %j by an index", async (filter) => {
      const { statement, values } = list({ ...ALL, ...filter });
      await fill();
      await expectIndex(statement.text, values);
    });

    it.each([TENANT, LOCAL, OTHER])(
      "the PostgreSQL store with many executions finds the dead letters of %j by an index",
      async (scope) => {
        const { statement, values } = listDeadLetters({ ...ALL, limit: 50, scope });
        await fill();
        await expectIndex(statement.text, values);
      },
    );

    it("the PostgreSQL store finds dead letters, unfinished executions and the free space of queues by indexes", async () => {
      const { statement, values } = listDeadLetters({ ...ALL, limit: 50 });
      await fill();
      await expectIndex(statement.text, values);
      await expectIndex(COUNT_QUEUES.text, ["project-3"]);
      const submission = ["new", "project-3", "a", "", 1, "{}", "{}", 1];
      await expectIndex(INSERT.text, [
        ...submission,
        1_000,
        10_000,
        "key",
        "print",
        "id-00000001",
        1,
        ...WHOSE,
      ]);
    });

    it("the PostgreSQL store finds the dead letters of a project that has few without reading those of the others", async () => {
      const { statement, values } = listDeadLetters({ ...ALL, project: "none", limit: 50 });
      await fill();
      await stores.database.sql(
        `INSERT INTO executions (execution_id, project, status, end_reason, code, timeout_ms, settings, memory, created_at_ms, ended_at_ms)
         SELECT 'lost-' || n, 'project-1', 'error', 'worker_lost', '', 1, '{}', '{}', 1, 1 FROM generate_series(1, 5000) AS n`,
      );
      await stores.database.sql("ANALYZE executions");
      const plan = JSON.stringify(await stores.database.sql(`EXPLAIN ${statement.text}`, values));
      expect(plan).toContain("executions_dead_letters_of_project");
    });

    it("the PostgreSQL store finds the executions that ended first by indexes", async () => {
      await fill();
      await expectIndex(DELETE_ENDED.text, [Date.now(), 200]);
      await expectIndex(DELETE_OLDEST_ENDED.text, ["project-3", 0, 100]);
    });
  });

  describe("when the server is away", () => {
    it("the PostgreSQL store reports a server that is away without its address, and goes on when it is back", async () => {
      const lines: string[] = [];
      const heardLog = pino({ level: "debug" }, { write: (line: string) => lines.push(line) });
      const store = await stores.open("a", { log: heardLog });
      const id = await running(store);
      await stores.postgres.crash();
      const errors = await Promise.all(
        [store.get(id), store.ping(), store.respond(id, undefined, "x"), store.claimPending(1)].map((call) =>
          call.catch((error: unknown) => error),
        ),
      );
      for (const error of errors) {
        expect(error).toMatchObject({ code: "unavailable", message: expect.stringContaining("Try again") });
        expect((error as Error).message).not.toContain("airlock-pg-");
        expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(stores.postgres.password);
      }
      await stores.postgres.start();
      await expect
        .poll(() =>
          store.ping().then(
            () => "up",
            () => "away",
          ),
        )
        .toBe("up");
      expect(await store.get(id)).toMatchObject({ state: { status: "running" } });
      const heard = countChanges(store, id);
      await (await stores.open("b")).requestCancel(id);
      await expect.poll(() => heard.count).toBeGreaterThan(0);
      await expect.poll(() => lines.join("")).toContain("arrive again");
      expect(lines.join("")).not.toContain(stores.postgres.password);
    });

    it("the PostgreSQL store keeps to its number of connections, and lets callers wait for one", async () => {
      const store = await stores.open("a", { maxConnections: 2 });
      const id = await submit(store);
      const lock = await otherTransaction("LOCK TABLE executions IN ACCESS EXCLUSIVE MODE");
      const reads = Promise.all(Array.from({ length: 200 }, () => store.get(id)));
      reads.catch(() => undefined);
      const count =
        "SELECT count(*)::int FROM pg_stat_activity WHERE application_name LIKE 'airlock-router%' AND datname = current_database()";
      // Two, and the one that listens.
      await expect.poll(() => stores.database.sql(count)).toEqual([{ count: 3 }]);
      await sleep(100);
      expect(await stores.database.sql(count)).toEqual([{ count: 3 }]);
      await lock.end();
      expect((await reads).every((execution) => execution?.executionId === id)).toBe(true);
    });

    it("the PostgreSQL store does not wait for a lock for ever", async () => {
      const store = await stores.open("a");
      const id = await running(store);
      const other = await otherTransaction("SELECT 1 FROM executions WHERE execution_id = $1 FOR UPDATE", id);
      await expect(store.requestCancel(id)).rejects.toMatchObject({ code: "unavailable" });
      await other.end();
      expect(await store.requestCancel(id)).toBe(true);
    });
  });
});

import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readMigrations } from "#common/database/migrations.ts";
import { failure } from "../../../services/router/execution.ts";
import { readWhole } from "../../../services/router/store/reading.ts";
import { DEAD_LETTER_COLUMNS, IS_DEAD_LETTER, SUMMARY_COLUMNS } from "../../../services/router/store/rows.ts";
import { pageQuery, prepareStatements } from "../../../services/router/store/sqlite/statements.ts";
import { openSqliteStore } from "../../../services/router/store/sqlite/store.ts";
import type { Reading } from "../../../services/router/store/store.ts";
import { ROW_BYTES } from "../../../services/router/store/stored-bytes.ts";
import { ROUTER_TABLES } from "../../../services/router/store/tables.ts";
import { measureStretches } from "../../support/stretches.ts";
import { SUBMISSION } from "../../support/submission.ts";

const MIGRATIONS = readMigrations(ROUTER_TABLES.migrations, "sqlite");
let directory: string;
let files = 0;
const newPath = () => join(directory, `${++files}.db`);

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-store-"));
});
afterAll(async () => {
  await rm(directory, { recursive: true });
});

describe("the SQLite file", () => {
  const submission = { ...SUBMISSION, executionId: "0001" };

  it("the SQLite file still has everything when it is opened again", async () => {
    const path = newPath();
    const first = openSqliteStore(path, "router");
    await first.insert(submission);
    await first.finish("0001", failure("cancelled", "no"), { position: 0, stdout: "out", stderr: "" }, 2);
    await first.close();
    const second = openSqliteStore(path, "router");
    expect(await second.get("0001")).toMatchObject({ stdout: "out", state: { status: "error" } });
    await second.close();
  });

  it("the SQLite file lets nothing of an ended execution change but its counted bytes", async () => {
    const path = newPath();
    await openSqliteStore(path, "router").close();
    const db = new DatabaseSync(path);
    const columns = db.prepare("SELECT name FROM pragma_table_info('executions')").all() as {
      name: string;
    }[];
    const change = (name: string) => () => db.exec(`UPDATE executions SET ${name} = ${name}`);
    db.exec(`INSERT INTO executions (execution_id, project, status, code, timeout_ms, settings, memory, created_at_ms, end_reason,
      ended_at_ms) VALUES ('0001', 'demo', 'error', '', 1, '{}', '{}', 1, 'killed', 1)`);
    for (const { name } of columns) {
      if (name === "stored_bytes") expect(change(name)).not.toThrow();
      else expect(change(name), name).toThrow("a terminal status never changes");
    }
    db.close();
  });

  it("the SQLite file gives long texts back unchanged, counts them, and forgets them with their execution", async () => {
    const path = newPath();
    const store = openSqliteStore(path, "router");
    const long = {
      code: `#${"é😀".repeat(200_000)}`,
      settings: { A: "x".repeat(300_000) },
      memoryJson: `{"a":{"k":"${"日".repeat(300_000)}"}}`,
    };
    const resultJson = JSON.stringify("😀".repeat(400_000));
    await store.insert({ ...submission, ...long });
    await store.insert({ ...submission, executionId: "0002" });
    const grant = { workerId: "", workerAddress: "", secretsVersion: "", llmTimeoutMs: 1, network: false };
    expect((await store.start("0001", 1, grant))?.submission).toMatchObject(long);
    const ending = { ...failure("cancelled", ""), reason: "completed", error: null, resultJson } as const;
    expect(await store.finish("0001", ending, { position: 0, stdout: "", stderr: "" }, 2)).toBe(true);
    expect(
      await store.finish(
        "0001",
        { ...ending, resultJson: resultJson.replaceAll("😀", "x ") },
        { position: 0, stdout: "", stderr: "" },
        3,
      ),
    ).toBe(false);
    await store.close();

    const second = openSqliteStore(path, "router");
    expect((await second.get("0001"))?.state).toMatchObject({ ending: { resultJson } });
    const texts = [long.code, JSON.stringify(long.settings), long.memoryJson, resultJson, "{}"];
    const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 2 * ROW_BYTES + "{}{}".length);
    expect(await second.countStoredBytes()).toEqual([{ project: "demo", bytes }]);
    expect(await second.deleteEndedBefore(10, 10)).toBe(1);
    await second.close();
    const rest = new DatabaseSync(path).prepare("SELECT count(*) AS pieces FROM long_texts").get();
    expect(rest).toEqual({ pieces: 0 });
  });

  it("the SQLite file receives the contents of its log while it is open", async () => {
    const path = newPath();
    const store = openSqliteStore(path, "router");
    await store.insert({ ...submission, code: "x".repeat(8 * 1024 * 1024) });
    const reader = new DatabaseSync(path);
    const log = reader.prepare("PRAGMA wal_checkpoint(NOOP)");
    await expect
      .poll(() => {
        const { log: pages, checkpointed } = log.get() as { log: number; checkpointed: number };
        return pages - checkpointed;
      })
      .toBeLessThan(1_000);
    expect((await stat(path)).size).toBeGreaterThan(8 * 1024 * 1024);
    reader.close();
    await store.close();
  });

  it("the SQLite file belongs to one router: a second one is refused until the first has closed it", async () => {
    const path = newPath();
    const store = openSqliteStore(path, "router");
    expect(() => openSqliteStore(path, "other")).toThrow("database is locked");
    await store.close();
    await openSqliteStore(path, "other").close();
  });

  it("the SQLite file keeps no long texts of a submission that is not accepted", async () => {
    const path = newPath();
    const store = openSqliteStore(path, "router");
    expect(await store.insert({ ...submission, code: "x".repeat(1_000_000) }, { maxUnfinished: 0 })).toBe(
      false,
    );
    await store.close();
    const db = new DatabaseSync(path);
    expect(db.prepare("SELECT count(*) AS pieces FROM long_texts").get()).toEqual({ pieces: 0 });
    // The output of an ending that a killed router had begun to write.
    db.exec("INSERT INTO long_texts VALUES ('0009', 'code', 0, 'x')");
    db.close();
    await openSqliteStore(path, "router").close();
    const again = new DatabaseSync(path);
    expect(again.prepare("SELECT count(*) AS pieces FROM long_texts").get()).toEqual({ pieces: 0 });
    again.close();
  });

  it("the SQLite file forgets, when it is opened, the output of an ending that was not recorded", async () => {
    const path = newPath();
    const first = openSqliteStore(path, "router");
    const grant = { workerId: "", workerAddress: "", secretsVersion: "", llmTimeoutMs: 1, network: false };
    await first.insert({ ...submission, code: "x".repeat(100_000) });
    await first.insert({ ...submission, executionId: "0002" });
    for (const id of ["0001", "0002"]) await first.start(id, 1, grant);
    await first.close();
    const other = new DatabaseSync(path);
    // Rows as a router leaves them that is killed in the middle of an ending.
    for (const id of ["0001", "0002"])
      other.exec(`INSERT INTO long_texts VALUES ('${id}', 'result', 0, '{"rows"')`);
    const store = openSqliteStore(path, "router");
    const left = ["code", "memory", "settings"].map((field) => ({ execution_id: "0001", field }));
    const pieces = "SELECT execution_id, field FROM long_texts ORDER BY execution_id, field";
    expect(other.prepare(pieces).all()).toEqual(left);
    other.close();
    await store.close();
  });

  it("the SQLite file shows no piece of output that no row refers to", async () => {
    const path = newPath();
    const store = openSqliteStore(path, "router");
    await store.insert({ ...submission, code: "x".repeat(100_000) });
    await store.forceFinish("0001", failure("cancelled", "no"), 2);
    const other = new DatabaseSync(path);
    other.exec(`INSERT INTO long_texts VALUES ('0001', 'result', 0, '{"rows"')`);
    const ending = { state: { ending: { resultJson: "null" } } };
    expect(await readWhole((await store.read("0001")) as Reading)).toMatchObject(ending);
    await store.close();
    // Opening the file removes a result that an earlier release left there.
    await openSqliteStore(path, "router").close();
    const of = "SELECT count(*) AS pieces FROM long_texts WHERE field = 'result'";
    expect(other.prepare(of).get()).toEqual({ pieces: 0 });
    other.close();
  });

  it("the SQLite file writes and reads the largest texts without blocking the process for long", async () => {
    const store = openSqliteStore(newPath(), "router");
    const memoryJson = `{"a":{"k":"${"x".repeat(15 * 1024 * 1024)}"}}`;
    const grant = { workerId: "", workerAddress: "", secretsVersion: "", llmTimeoutMs: 1, network: false };
    const { longestMs } = await measureStretches(async () => {
      await store.insert({ ...submission, memoryJson });
      await store.start("0001", 1, grant);
      await store.listOwn();
      const ending = {
        ...failure("cancelled", ""),
        reason: "completed",
        error: null,
        resultJson: memoryJson,
      } as const;
      await store.finish("0001", ending, { position: 0, stdout: "", stderr: "" }, 2);
      await store.get("0001");
    });
    expect(longestMs).toBeLessThan(50);
    await store.close();
  });

  it("the SQLite file shows nothing of an execution that is forgotten while its result is read", async () => {
    const store = openSqliteStore(newPath(), "router");
    await store.insert(submission);
    const resultJson = `"${"x".repeat(15 * 1024 * 1024)}"`;
    const ending = { ...failure("cancelled", ""), reason: "completed", error: null, resultJson } as const;
    await store.finish("0001", ending, { position: 0, stdout: "", stderr: "" }, 2);
    const reading = store.get("0001");
    expect(await store.deleteEndedBefore(10, 10)).toBe(1);
    expect(await reading).toBeUndefined();
    await store.close();
  });

  it("a SQLite file of the first schema is migrated", async () => {
    const path = newPath();
    const old = new DatabaseSync(path);
    old.exec(`${MIGRATIONS[0]?.sql}; PRAGMA user_version = 1;`);
    old
      .prepare(
        `INSERT INTO executions (execution_id, project, status, code, timeout_ms, settings, memory, created_at_ms)
         VALUES ('0001', 'demo', 'running', '', 1, '{}', '{}', 1)`,
      )
      .run();
    const output = "INSERT INTO execution_output (execution_id, stdout, stderr) VALUES ('0001', ?, '')";
    for (const piece of ["one ", "two"]) old.prepare(output).run(piece);
    old.close();
    const store = openSqliteStore(path, "router");
    expect(await store.get("0001")).toMatchObject({ stdout: "one two", state: { status: "running" } });
    const bytes = ROW_BYTES + "{}{}null{}".length + "one two".length;
    expect(await store.countStoredBytes()).toEqual([{ project: "demo", bytes }]);
    expect(await store.claimOrphaned(10)).toMatchObject([
      { executionId: "0001", epoch: 2, grant: undefined, position: 3 },
    ]);
    const redaction = { secret: "TOKEN", field: "stdout", count: 1 };
    await store.addRedactions("0001", [redaction]);
    expect(await store.getRedactions("0001")).toEqual([redaction]);
    await store.close();
  });

  it.each([
    ["80 secrets redacted everywhere", 0, 80],
    ["output in many small pieces", 400, 0],
    ["neither", 0, 0],
  ])("the SQLite file takes about as much space as is counted: %s", async (_name, pieces, secrets) => {
    const path = newPath();
    const store = openSqliteStore(path, "router");
    const grant = { workerId: "", workerAddress: "", secretsVersion: "", llmTimeoutMs: 1, network: false };
    const reader = new DatabaseSync(path);
    const used = () => {
      const read = (name: string) =>
        Object.values(reader.prepare(`PRAGMA ${name}`).get() as object)[0] as number;
      return (read("page_count") - read("freelist_count")) * read("page_size");
    };
    const before = used();
    for (let n = 0; n < 60; n++) {
      const executionId = `0198c0de-0000-7000-8000-${String(n).padStart(12, "0")}`;
      await store.insert({ ...submission, executionId });
      await store.start(executionId, 1, grant);
      for (let position = 0; position < pieces; position++) {
        await store.appendOutput(executionId, { position, stdout: ".", stderr: "" });
      }
      const redactions = ["stdout", "stderr", "result", "memory_updates"].flatMap((field) =>
        Array.from({ length: secrets }, (_, index) => ({
          secret: `SECRET_NUMBER_${index}`,
          field,
          count: 1,
        })),
      );
      await store.addRedactions(executionId, redactions);
      await store.finish(
        executionId,
        failure("script_error", "no"),
        { position: pieces, stdout: "", stderr: "" },
        n,
      );
    }
    const [counted] = await store.countStoredBytes();
    expect(used() - before).toBeLessThan(1.25 * (counted?.bytes ?? 0));
    reader.close();
    await store.close();
  });

  it("the SQLite file reuses the space of removed executions, and its log stays small", async () => {
    const path = newPath();
    const store = openSqliteStore(path, "router");
    const write = async (round: number) => {
      for (let n = 0; n < 4; n++) {
        const executionId = `${round}-${n}`;
        await store.insert({ ...submission, executionId, memoryJson: "x".repeat(1_000_000) });
        const last = { position: 0, stdout: "x".repeat(1_000_000), stderr: "" };
        await store.finish(executionId, failure("cancelled", "no"), last, round);
      }
      for (;;) if ((await store.deleteOldestEnded("demo", 0, 100)).removed === 0) return;
    };
    // Data in the write-ahead log is not in the file yet.
    const fileSize = async () => {
      const db = new DatabaseSync(path);
      db.exec("PRAGMA busy_timeout = 5000; PRAGMA wal_checkpoint(PASSIVE)");
      db.close();
      return (await stat(path)).size;
    };
    await write(1);
    const size = await fileSize();
    for (let round = 2; round < 5; round++) await write(round);
    expect(await fileSize()).toBeLessThan(size + 4_000_000);
    expect((await stat(`${path}-wal`)).size).toBeLessThan(70_000_000);
    await store.close();
  });

  it("the SQLite file is refused to a second router while the first has it open", async () => {
    const path = newPath();
    const first = openSqliteStore(path, "router");
    await first.insert(submission);
    expect(() => openSqliteStore(path, "router")).toThrow(/locked/);
    await first.close();
  });
});

describe("the plan of a SQLite statement", () => {
  let db: DatabaseSync;
  const planOf = (text: string, values: SQLInputValue[] = []) =>
    db
      .prepare(`EXPLAIN QUERY PLAN ${text}`)
      .all(...values)
      .map(({ detail }) => String(detail));

  beforeAll(() => {
    db = new DatabaseSync(":memory:");
    for (const { sql } of MIGRATIONS) db.exec(sql);
  });
  afterAll(() => db.close());

  const completed = { status: "completed" } as const;
  it.each([
    [{}, undefined, ""],
    [{ project: "demo" }, undefined, "project=?"],
    [completed, undefined, "status=?"],
    [{ project: "demo", ...completed }, undefined, "project=? AND status=?"],
    [{}, IS_DEAD_LETTER, ""],
    [{ project: "demo" }, IS_DEAD_LETTER, "project=?"],
  ])(
    "the plan of a SQLite statement for a page of %j %s searches by all fields of the filter",
    (filter, only, searched) => {
      const columns = only ? DEAD_LETTER_COLUMNS : SUMMARY_COLUMNS;
      const index = only ? /USING INDEX executions_dead_letters/ : /USING INDEX/;
      for (const before of [undefined, "id"]) {
        const { text, values } = pageQuery(columns, { ...filter, before, limit: 10 }, only);
        const conditions = [searched, before ? "execution_id<?" : ""].filter(Boolean).join(" AND ");
        const [page = "", ...others] = planOf(text, values);
        expect(page).toMatch(index);
        expect(/\((.*)\)$/.exec(page)?.[1] ?? "").toBe(conditions);
        expect(others).not.toContain("USE TEMP B-TREE FOR ORDER BY");
      }
    },
  );

  it("the plan of a SQLite statement reads no executions, outputs or keys without an index", () => {
    for (const [name, statement] of Object.entries(prepareStatements(db))) {
      const scans = planOf(statement.sourceSQL).filter((step) =>
        /^SCAN (executions|execution_|idempotency)(?!.* USING)/.test(step),
      );
      expect({ name, scans }).toEqual({ name, scans: [] });
    }
  });
});

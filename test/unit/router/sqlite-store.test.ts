import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { failure } from "../../../services/router/execution.ts";
import { openSqliteStore } from "../../../services/router/store/sqlite.ts";
import { MIGRATIONS } from "../../../services/router/store/sqlite-schema.ts";
import { ROW_BYTES } from "../../../services/router/store/stored-bytes.ts";
import { describeStoreContract } from "../../support/store-contract.ts";

let directory: string;
let files = 0;
const newPath = () => join(directory, `${++files}.db`);

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-store-"));
});
afterAll(async () => {
  await rm(directory, { recursive: true });
});

describeStoreContract("SQLite", async () => openSqliteStore(newPath(), "router"));

describe("the SQLite file", () => {
  const submission = {
    executionId: "0001",
    project: "demo",
    code: "",
    timeoutMs: 1,
    settings: {},
    memoryJson: "{}",
    createdAtMs: 1,
  };

  it("still has everything when it is opened again", async () => {
    const path = newPath();
    const first = openSqliteStore(path, "router");
    await first.insert(submission);
    await first.finish("0001", failure("cancelled", "no"), { position: 0, stdout: "out", stderr: "" }, 2);
    await first.close();
    const second = openSqliteStore(path, "router");
    expect(await second.get("0001")).toMatchObject({ stdout: "out", state: { status: "error" } });
    await second.close();
  });

  it("of the first schema is taken over", async () => {
    const path = newPath();
    const old = new DatabaseSync(path);
    old.exec(`${MIGRATIONS[0]}; PRAGMA user_version = 1;`);
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
    expect(await store.claimLost(10)).toMatchObject([
      { submission: { executionId: "0001" }, epoch: 2, grant: undefined, position: 3 },
    ]);
    const redaction = { secret: "TOKEN", field: "stdout", count: 1 };
    await store.addRedactions("0001", [redaction]);
    expect(await store.getRedactions("0001")).toEqual([redaction]);
    await store.close();
  });

  it("uses the room of what was removed again, and its log stays small", async () => {
    const path = newPath();
    const store = openSqliteStore(path, "router");
    const write = async (round: number) => {
      for (let n = 0; n < 5; n++) {
        const executionId = `${round}-${n}`;
        await store.insert({ ...submission, executionId, memoryJson: "x".repeat(4_000_000) });
        const last = { position: 0, stdout: "x".repeat(2_000_000), stderr: "" };
        await store.finish(executionId, failure("cancelled", "no"), last, round);
      }
      for (;;) if ((await store.deleteOldestEnded("demo", 0, 100)).removed === 0) return;
    };
    await write(1);
    const { size } = await stat(path);
    for (let round = 2; round < 6; round++) await write(round);
    expect((await stat(path)).size).toBeLessThan(size + 8_000_000);
    expect((await stat(`${path}-wal`)).size).toBeLessThan(70_000_000);
    await store.close();
  });

  it("is refused to a second router while the first has it open", async () => {
    const path = newPath();
    const first = openSqliteStore(path, "router");
    await first.insert(submission);
    expect(() => openSqliteStore(path, "router")).toThrow(/locked/);
    await first.close();
  });
});

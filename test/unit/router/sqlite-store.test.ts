import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { failure } from "../../../services/router/execution.ts";
import { openSqliteStore } from "../../../services/router/store/sqlite.ts";
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

describeStoreContract("SQLite", async () => openSqliteStore(newPath()));

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
    const first = openSqliteStore(path);
    await first.insert(submission);
    await first.finish("0001", failure("cancelled", "no"), { stdout: "out", stderr: "" }, 2);
    await first.close();
    const second = openSqliteStore(path);
    expect(await second.get("0001")).toMatchObject({ stdout: "out", state: { status: "error" } });
    await second.close();
  });

  it("is refused to a second router while the first has it open", async () => {
    const path = newPath();
    const first = openSqliteStore(path);
    await first.insert(submission);
    expect(() => openSqliteStore(path)).toThrow(/locked/);
    await first.close();
  });
});

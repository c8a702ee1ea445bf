import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AirlockError } from "#common/errors.ts";
import { type Ending, NO_OUTPUT } from "../../../services/router/execution.ts";
import { openOutputLog } from "../../../services/router/run/output-log.ts";
import { recordEnding } from "../../../services/router/run/record-ending.ts";
import { openSqliteStore } from "../../../services/router/store/sqlite/store.ts";
import type { ExecutionStore } from "../../../services/router/store/store.ts";
import { createFakeClock } from "../../support/fake-clock.ts";
import { GRANT } from "../../support/grant.ts";
import { SUBMISSION } from "../../support/submission.ts";

const ID = "0001";
const STDOUT = 1;
const OUT = { position: 0, stdout: "out", stderr: "" };
const NEVER = new AbortController().signal;
const log = pino({ level: "silent" });
const completed: Ending = {
  reason: "completed",
  error: null,
  resultJson: "[1.0]",
  memoryUpdatesJson: "{}",
  truncated: { stdout: 0, stderr: 0 },
  executionTimeMs: 3,
};

let directory: string;
let store: ExecutionStore;
let failures: number;
/** The real store on a disk that is full for a while. */
let failing: ExecutionStore;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-record-"));
  store = openSqliteStore(join(directory, "airlock.db"), "router");
  await store.insert({ ...SUBMISSION, executionId: ID });
  await store.start(ID, 2, GRANT);
  failures = 0;
  const full = async () => {
    if (failures-- > 0) throw new Error("database or disk is full");
  };
  failing = {
    ...store,
    async appendOutput(id, output) {
      await full();
      return await store.appendOutput(id, output);
    },
    async finish(id, ending, output, at) {
      await full();
      return await store.finish(id, ending, output, at);
    },
  };
});

afterEach(async () => {
  await store.close();
  await rm(directory, { recursive: true });
});

it("an ending is recorded whole when the store recovers soon", async () => {
  const clock = createFakeClock();
  failures = 2;
  const recorded = recordEnding(failing, ID, completed, OUT, clock, log, NEVER);
  await clock.advance(1_000);
  await recorded;
  expect(await store.get(ID)).toMatchObject({
    stdout: "out",
    state: { status: "completed", ending: completed },
  });
});

it("an ending is recorded without its output, as no success, when the disk has little space", async () => {
  const clock = createFakeClock();
  failures = 3;
  const recorded = recordEnding(
    failing,
    ID,
    completed,
    { ...OUT, stdout: "oüt", stderr: "e" },
    clock,
    log,
    NEVER,
  );
  await clock.advance(5_000);
  await recorded;
  expect(await store.get(ID)).toMatchObject({
    stdout: "",
    state: {
      status: "error",
      ending: { reason: "output_withheld", resultJson: "null", truncated: { stdout: 4, stderr: 1 } },
    },
  });
});

it("the recording of an ending is given up when the store stays away, and the execution is found unfinished", async () => {
  const clock = createFakeClock();
  failures = 1_000;
  const recorded = recordEnding(failing, ID, completed, NO_OUTPUT, clock, log, NEVER);
  const rejected = expect(recorded).rejects.toThrow(/disk is full/);
  await clock.advance(120_000);
  await rejected;
  expect(await store.get(ID)).toMatchObject({ state: { status: "running" } });
});

describe("while the database is away", () => {
  let away: boolean;
  const unreliable = (): ExecutionStore => ({
    ...store,
    async finish(id, ending, last, at) {
      if (away) throw new AirlockError("unavailable", "The database cannot be reached.");
      return await store.finish(id, ending, last, at);
    },
  });
  beforeEach(() => {
    away = true;
  });

  it("an ending waits while the database is away, and is recorded whole", async () => {
    const clock = createFakeClock();
    const recorded = recordEnding(unreliable(), ID, completed, OUT, clock, log, NEVER);
    await clock.advance(600_000);
    away = false;
    await clock.advance(10_000);
    await recorded;
    expect(await store.get(ID)).toMatchObject({
      stdout: "out",
      state: { status: "completed", ending: completed },
    });
  });

  it("the recording of an ending is given up when the router has to stop while the database is away", async () => {
    const clock = createFakeClock();
    const stop = new AbortController();
    const recorded = recordEnding(unreliable(), ID, completed, OUT, clock, log, stop.signal);
    const rejected = expect(recorded).rejects.toMatchObject({ code: "unavailable" });
    await clock.advance(60_000);
    stop.abort();
    await clock.advance(10_000);
    await rejected;
  });
});

it("an ending has each piece of output once, even if the answer to one write was lost", async () => {
  const clock = createFakeClock();
  const forgetful: ExecutionStore = {
    ...store,
    async appendOutput(id, piece) {
      const appended = await store.appendOutput(id, piece);
      if (failures-- > 0) throw new AirlockError("unavailable", "The connection was lost.");
      return appended;
    },
  };
  const output = openOutputLog(forgetful, ID, clock, () => undefined);
  failures = 1;
  for (const text of ["one ", "two ", "three"]) {
    output.add(STDOUT, text);
    await output.flush();
  }
  output.add(STDOUT, " four");
  await recordEnding(forgetful, ID, completed, await output.close(), clock, log, NEVER);
  expect((await store.get(ID))?.stdout).toBe("one two three four");
});

it("an ending has all output in order, even if a piece could not be written at first", async () => {
  const clock = createFakeClock();
  const told: unknown[] = [];
  const output = openOutputLog(failing, ID, clock, (error) => told.push(error));
  failures = 1;
  output.add(STDOUT, "one ");
  await output.flush();
  output.add(STDOUT, "two ");
  await output.flush();
  output.add(STDOUT, "three");
  await recordEnding(failing, ID, completed, await output.close(), clock, log, NEVER);
  expect(told).toHaveLength(1);
  expect((await store.get(ID))?.stdout).toBe("one two three");
});

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, expect, it } from "vitest";
import { failure, NO_OUTPUT } from "../../../services/router/execution.ts";
import { startRetention } from "../../../services/router/store/retention.ts";
import { openSqliteStore } from "../../../services/router/store/sqlite/store.ts";
import type { ExecutionStore } from "../../../services/router/store/store.ts";
import { createFakeClock } from "../../support/fake-clock.ts";
import { SUBMISSION } from "../../support/submission.ts";

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const DAY = 24 * HOUR;
const log = pino({ level: "silent" });

const START_MS = 1_000 * DAY;

let directory: string;
let store: ExecutionStore;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-retention-"));
  store = openSqliteStore(join(directory, "airlock.db"), "router");
});
afterEach(async () => {
  await store.close();
  await rm(directory, { recursive: true });
});

const submit = (executionId: string) => {
  const idempotency = { key: "key", fingerprint: "print" };
  return store.insert({ ...SUBMISSION, executionId, createdAtMs: START_MS }, { idempotency });
};
const end = (executionId: string, afterMs: number) =>
  store.finish(executionId, failure("killed", "killed"), NO_OUTPUT, START_MS + afterMs);
const useOfKey = async () => {
  const record = await store.getIdempotencyKey("key");
  return record ? (record.executionId ?? "forgotten") : "free";
};
/** Lets the retention delete what is too old `afterMs` after the submission. */
const deleteAt = async (retentionMs: number, afterMs: number) => {
  const clock = createFakeClock(START_MS + afterMs);
  const stop = startRetention(store, retentionMs, clock, log);
  await clock.advance(2 * SECOND);
  stop();
};

it.each([
  ["24 hours", DAY],
  ["a second", SECOND],
  ["30 days", 30 * DAY],
])(
  "an idempotency key starts nothing for seven days longer than an execution of %s can be polled, and is free afterwards",
  async (_name, retentionMs) => {
    expect(await submit("first")).toBe(true);
    await end("first", 0);
    expect(await useOfKey()).toBe("first");
    for (const afterMs of [SECOND, 7 * DAY - HOUR]) {
      await deleteAt(retentionMs, retentionMs + afterMs);
      expect(await useOfKey()).toBe("forgotten");
      expect(await submit("second")).toBe(false);
    }
    await deleteAt(retentionMs, retentionMs + 7 * DAY);
    expect(await useOfKey()).toBe("free");
    expect(await submit("second")).toBe(true);
  },
);

it("an idempotency key is not free while its execution can be polled, however long ago it was first used", async () => {
  expect(await submit("paused")).toBe(true);
  await deleteAt(DAY, 20 * DAY);
  expect(await useOfKey()).toBe("paused");
  await end("paused", 20 * DAY);
  await deleteAt(DAY, 20 * DAY + HOUR);
  expect(await useOfKey()).toBe("paused");
});

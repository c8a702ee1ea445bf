import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { END_REASONS } from "../../services/common/execution-names.ts";
import {
  type Ending,
  failure,
  NO_OUTPUT,
  type Submission,
  statusOf,
} from "../../services/router/execution.ts";
import type { ExecutionStore } from "../../services/router/store/store.ts";
import { ROW_BYTES } from "../../services/router/store/stored-bytes.ts";
import { GRANT } from "./grant.ts";
import { itReadsInPieces } from "./store-reading-contract.ts";

const QUESTION = { id: "llm_1", prompt: "Say hello", model: "default" };

const SUBMISSION: Submission = {
  executionId: "",
  project: "demo",
  code: "",
  timeoutMs: 1,
  settings: {},
  memoryJson: "{}",
  createdAtMs: 1,
};

const COMPLETED: Ending = {
  reason: "completed",
  error: null,
  resultJson: '{"big": 9223372036854775809, "float": 1.0}',
  memoryUpdatesJson: '{"a": {"b": 5e-324}}',
  truncated: { stdout: 7, stderr: 0 },
  executionTimeMs: 12,
};

/** What every adapter of the store port must do; `open` gives a fresh, empty store. */
export function describeStoreContract(name: string, open: () => Promise<ExecutionStore>): void {
  describe(`${name} keeps the store contract`, () => {
    let store: ExecutionStore;
    let count = 0;

    const submit = async (overrides: Partial<Submission> = {}): Promise<string> => {
      count += 1;
      const submission: Submission = {
        executionId: `0000-${String(count).padStart(6, "0")}`,
        project: "demo",
        code: "print('ü')\n",
        timeoutMs: 60_000,
        settings: { REGION: "eu" },
        memoryJson: '{"a": {"n": 9007199254740993}}',
        createdAtMs: 1_000 + count,
        ...overrides,
      };
      await store.insert(submission);
      return submission.executionId;
    };
    const running = async () => {
      const id = await submit();
      expect(await store.start(id, 2_000, GRANT)).toBeDefined();
      return id;
    };
    const awaiting = async () => {
      const id = await running();
      expect(await store.markAwaiting(id, QUESTION, 5)).toBe(true);
      return id;
    };

    beforeEach(async () => {
      store = await open();
    });
    afterEach(async () => {
      await store.close();
    });

    it("gives back what was submitted, digit for digit", async () => {
      const id = await submit();
      expect(await store.get(id)).toMatchObject({ project: "demo", state: { status: "pending" } });
      expect(await store.start(id, 1, GRANT)).toEqual({
        submission: {
          executionId: id,
          project: "demo",
          code: "print('ü')\n",
          timeoutMs: 60_000,
          settings: { REGION: "eu" },
          memoryJson: '{"a": {"n": 9007199254740993}}',
          createdAtMs: 1_000 + count,
        },
        epoch: 1,
      });
    });

    itReadsInPieces(() => store, running);

    it("outlines an execution with the bytes that it stores, its output among them", async () => {
      const id = await running();
      const before = await store.getOutline(id);
      expect(before).toMatchObject({ status: "running" });
      await store.appendOutput(id, { position: 1, stdout: "ü".repeat(1_000), stderr: "e" });
      const bytes = (before?.bytes ?? 0) + 2_001;
      expect(await store.getOutline(id)).toMatchObject({ status: "running", bytes });
      expect(await store.getOutline("unknown")).toBeUndefined();
    });

    it("counts what has not ended stores, apart from what has started", async () => {
      await submit({ project: "other", memoryJson: `"${"x".repeat(998)}"` });
      const started = await running();
      await store.markAwaiting(started, QUESTION, 1);
      await store.forceFinish(await submit(), failure("cancelled", "no"), 3);
      const counted = await store.countUnfinishedBytes();
      const [demo, other] = ["demo", "other"].map((name) => counted.find(({ project }) => project === name));
      expect(demo).toEqual({
        project: "demo",
        pending: 0,
        started: (await store.getOutline(started))?.bytes,
      });
      expect(other?.started).toBe(0);
      expect(other?.pending).toBeGreaterThan(ROW_BYTES + 1_000);
    });

    it("knows nothing of an unknown id", async () => {
      expect(await store.get("missing")).toBeUndefined();
      expect(await store.start("missing", 1, GRANT)).toBeUndefined();
      expect(await store.requestCancel("missing")).toBe(false);
      expect(await store.finish("missing", COMPLETED, NO_OUTPUT, 1)).toBe(false);
    });

    it("starts an execution once", async () => {
      const id = await submit();
      const won = await Promise.all([store.start(id, 1, GRANT), store.start(id, 2, GRANT)]);
      expect(won.filter(Boolean)).toHaveLength(1);
    });

    it("keeps the result's text and adds up the output", async () => {
      const id = await running();
      await store.appendOutput(id, { position: 0, stdout: "one ", stderr: "" });
      await store.appendOutput(id, { position: 1, stdout: "two ", stderr: "err\0" });
      const last = { position: 2, stdout: "three", stderr: "" };
      expect(await store.finish(id, COMPLETED, last, 3_000)).toBe(true);
      expect(await store.get(id)).toMatchObject({
        stdout: "one two three",
        stderr: "err\0",
        executionTimeMs: 12,
        state: { status: "completed", startedAtMs: 2_000, endedAtMs: 3_000, ending: COMPLETED },
      });
    });

    it("keeps how long a script has run, and never less than it has shown", async () => {
      const id = await submit();
      const shown = async () => (await store.get(id))?.executionTimeMs;
      await store.noteRunningTime(id, 7);
      expect(await shown()).toBeNull();
      await store.start(id, 2_000, GRANT);
      expect(await shown()).toBe(0);
      await store.noteRunningTime(id, 1_000);
      await store.noteRunningTime(id, 900);
      expect(await shown()).toBe(1_000);
      await store.markAwaiting(id, QUESTION, 990);
      await store.noteRunningTime(id, 5_000);
      expect(await shown()).toBe(1_000);
      await store.answer(id, undefined, "yes");
      await store.markAwaiting(id, { ...QUESTION, id: "llm_2" }, 1_500);
      expect(await shown()).toBe(1_500);
      await store.finish(id, failure("worker_lost", "gone", 20), NO_OUTPUT, 3_000);
      await store.noteRunningTime(id, 9_000);
      expect(await store.get(id)).toMatchObject({
        executionTimeMs: 1_500,
        state: { ending: { executionTimeMs: 1_500 } },
      });
    });

    it.each([
      [null, 1_000],
      [1_200, 1_200],
    ])("records an ending after %j ms", async (ranMs, expected) => {
      const id = await running();
      await store.noteRunningTime(id, 1_000);
      await store.finish(id, failure("worker_lost", "gone", ranMs), NO_OUTPUT, 3_000);
      expect((await store.get(id))?.executionTimeMs).toBe(expected);
    });

    it.each(END_REASONS)("records %s under its status", async (reason) => {
      const ending = reason === "completed" ? COMPLETED : failure(reason, "why", 3);
      const id = await running();
      await store.finish(id, ending, NO_OUTPUT, 3_000);
      expect((await store.get(id))?.state).toMatchObject({ status: statusOf(ending), ending: { reason } });
    });

    it("lets the first ending stand", async () => {
      const id = await running();
      const won = await Promise.all([
        store.finish(id, COMPLETED, NO_OUTPUT, 3_000),
        store.finish(id, failure("cancelled", "no"), { ...NO_OUTPUT, stdout: "late" }, 3_001),
      ]);
      expect(won.filter(Boolean)).toHaveLength(1);
      const winner = won[0] ? "completed" : "error";
      expect((await store.get(id))?.state.status).toBe(winner);
      expect(await store.markAwaiting(id, QUESTION, 1)).toBe(false);
      expect(await store.appendOutput(id, { ...NO_OUTPUT, stdout: "x" })).toBe(false);
      expect(await store.requestCancel(id)).toBe(false);
      expect((await store.get(id))?.state.status).toBe(winner);
    });

    it("takes one of eight racing answers", async () => {
      const id = await awaiting();
      const answers = await Promise.all(
        Array.from({ length: 8 }, (_, index) => store.answer(id, undefined, `answer ${index}`)),
      );
      expect(answers.filter(Boolean)).toHaveLength(1);
      expect(await store.getAnswer(id, "llm_1")).toBe(`answer ${answers.indexOf(true)}`);
      expect((await store.get(id))?.state.status).toBe("running");
    });

    it("keeps an answer to the question that it names", async () => {
      const id = await awaiting();
      expect(await store.answer(id, "llm_2", "wrong")).toBe(false);
      expect((await store.get(id))?.state).toMatchObject({ status: "awaiting_llm", question: QUESTION });
      expect(await store.answer(id, "llm_1", "right")).toBe(true);
      expect(await store.getAnswer(id, "llm_2")).toBeUndefined();
    });

    it("forgets the last answer when the next question opens", async () => {
      const id = await awaiting();
      await store.answer(id, undefined, "first");
      await store.markAwaiting(id, { ...QUESTION, id: "llm_2" }, 6);
      expect(await store.getAnswer(id, "llm_2")).toBeUndefined();
      expect(await store.getAnswer(id, "llm_1")).toBeUndefined();
    });

    it("adds up what was redacted, until the execution is forgotten", async () => {
      const id = await running();
      const other = await running();
      expect(await store.getRedactions(id)).toEqual([]);
      await store.addRedactions(id, [
        { secret: "TOKEN", field: "stdout", count: 2 },
        { secret: "KEY", field: "result", count: 1 },
      ]);
      await store.addRedactions(id, []);
      await store.finish(id, COMPLETED, NO_OUTPUT, 3_000);
      await store.addRedactions(id, [{ secret: "TOKEN", field: "stdout", count: 3 }]);
      await store.addRedactions(id, [{ secret: "TOKEN", field: "error", count: 1 }]);
      expect(await store.getRedactions(id)).toEqual([
        { secret: "KEY", field: "result", count: 1 },
        { secret: "TOKEN", field: "error", count: 1 },
        { secret: "TOKEN", field: "stdout", count: 5 },
      ]);
      expect(await store.getRedactions(other)).toEqual([]);
      await store.deleteEndedBefore(5_000, 10);
      expect(await store.getRedactions(id)).toBeUndefined();
    });

    it("knows no redactions of an unknown execution", async () => {
      await store.addRedactions("missing", [{ secret: "TOKEN", field: "stdout", count: 1 }]);
      expect(await store.getRedactions("missing")).toBeUndefined();
    });

    it("remembers that a cancellation was asked for", async () => {
      const id = await running();
      expect(await store.isCancelRequested(id)).toBe(false);
      expect(await store.requestCancel(id)).toBe(true);
      expect(await store.isCancelRequested(id)).toBe(true);
    });

    it("tells listeners of each change of state until they stop listening", async () => {
      const id = await submit();
      const other = await submit();
      let heard = 0;
      const stop = store.onChange(id, () => {
        heard += 1;
      });
      await store.start(other, 1, GRANT);
      expect(heard).toBe(0);
      await store.start(id, 1, GRANT);
      await store.finish(id, COMPLETED, NO_OUTPUT, 2);
      await expect.poll(() => heard).toBe(2);
      stop();
      await store.finish(other, COMPLETED, NO_OUTPUT, 2);
      expect(heard).toBe(2);
    });

    it("pages newest first, filtered", async () => {
      const ids = [await submit(), await submit({ project: "other" }), await submit()];
      await store.start(ids[0] as string, 1, GRANT);
      const list = async (filter: object) =>
        (
          await store.list({ project: undefined, status: undefined, limit: 10, before: undefined, ...filter })
        ).map((summary) => summary.executionId);
      expect(await list({})).toEqual([...ids].reverse());
      expect(await list({ limit: 2 })).toEqual([ids[2], ids[1]]);
      expect(await list({ before: ids[1] })).toEqual([ids[0]]);
      expect(await list({ project: "other" })).toEqual([ids[1]]);
      expect(await list({ status: "running" })).toEqual([ids[0]]);
      expect(await list({ status: "running", project: "other" })).toEqual([]);
    });

    it("has what it was given until it gives it back, then whoever claims it", async () => {
      const ids = [await submit(), await submit({ project: "other" }), await submit()];
      expect(await store.claimPending(10)).toEqual([]);
      expect((await store.listOwn()).map((own) => own.executionId)).toEqual(ids);
      for (const id of ids) await store.release(id);
      expect(await store.listOwn()).toEqual([]);
      expect(await store.start(ids[0] as string, 1, GRANT)).toBeUndefined();
      const first = await store.claimPending(2);
      expect(first).toEqual([
        { executionId: ids[0], project: "demo" },
        { executionId: ids[1], project: "other" },
      ]);
      expect(await store.listOwn()).toEqual(first.map((claim) => ({ ...claim, hasStarted: false })));
      expect((await store.claimPending(2)).map((claim) => claim.executionId)).toEqual([ids[2]]);
      expect(await store.claimPending(2)).toEqual([]);
    });

    it("gives back what has started with all that is known of it, and nothing that has ended", async () => {
      const [active, paused, ended] = [await running(), await awaiting(), await submit()];
      await store.appendOutput(active, { position: 0, stdout: "one", stderr: "" });
      await store.finish(ended, failure("cancelled", "no"), NO_OUTPUT, 3);
      expect(await store.claimLost(10)).toEqual([]);
      for (const id of [active, paused, ended]) await store.release(id);
      expect(await store.claimPending(10)).toEqual([]);
      expect(await store.listOwn()).toEqual([]);
      const [lost, ...more] = [...(await store.claimLost(1)), ...(await store.claimLost(10))];
      expect(lost).toMatchObject({
        submission: { executionId: active },
        epoch: 2,
        grant: GRANT,
        position: 1,
      });
      expect(more).toMatchObject([
        { submission: { executionId: paused }, epoch: 2, grant: GRANT, position: 0 },
      ]);
      expect(await store.listOwn()).toMatchObject([{ hasStarted: true }, { hasStarted: true }]);
      expect(await store.finish(active, COMPLETED, NO_OUTPUT, 3_000)).toBe(true);
    });

    it("lets nobody change a run but the router that has it, and everybody end it by force", async () => {
      const id = await running();
      await store.release(id);
      expect(await store.appendOutput(id, { position: 0, stdout: "late", stderr: "" })).toBe(false);
      expect(await store.markAwaiting(id, QUESTION, 1)).toBe(false);
      expect(await store.finish(id, COMPLETED, NO_OUTPUT, 3_000)).toBe(false);
      expect(await store.forceFinish(id, failure("cancelled", "no"), 3_000)).toBe(true);
      expect(await store.forceFinish(id, failure("killed", "no"), 3_001)).toBe(false);
      expect((await store.get(id))?.state).toMatchObject({
        status: "error",
        ending: { reason: "cancelled" },
      });
    });

    it("takes no more than the project may have, and again when one has ended", async () => {
      const insert = (executionId: string) =>
        store.insert({ ...SUBMISSION, project: "full", executionId }, { maxUnfinished: 2 });
      expect(await insert("f-1")).toBe(true);
      expect(await insert("f-2")).toBe(true);
      await store.start("f-1", 1, GRANT);
      expect(await insert("f-3")).toBe(false);
      expect(await store.get("f-3")).toBeUndefined();
      await submit();
      await store.finish("f-1", COMPLETED, NO_OUTPUT, 2);
      expect(await insert("f-3")).toBe(true);
    });

    it("takes no more than all projects may have together", async () => {
      const insert = (executionId: string, project: string) =>
        store.insert({ ...SUBMISSION, executionId, project }, { maxUnfinished: 2, maxUnfinishedInTotal: 3 });
      expect(await insert("t-1", "one")).toBe(true);
      expect(await insert("t-2", "two")).toBe(true);
      await store.start("t-2", 1, GRANT);
      expect(await insert("t-3", "two")).toBe(true);
      expect(await insert("t-4", "three")).toBe(false);
      expect(await store.countQueues("two")).toEqual({
        ofProject: { pending: 1, unfinished: 2 },
        inTotal: { pending: 2, unfinished: 3 },
        otherProjects: 1,
      });
      await store.finish("t-2", COMPLETED, NO_OUTPUT, 2);
      expect(await insert("t-4", "three")).toBe(true);
      expect(await store.countQueues("unknown")).toEqual({
        ofProject: { pending: 0, unfinished: 0 },
        inTotal: { pending: 3, unfinished: 3 },
        otherProjects: 3,
      });
    });

    it("adds one execution for an idempotency key, however many race", async () => {
      const insert = (n: number) =>
        store.insert(
          { ...SUBMISSION, executionId: `k-${n}` },
          { idempotency: { key: "key", fingerprint: `print ${n}` } },
        );
      expect(await store.getIdempotencyKey("key")).toBeUndefined();
      const won = await Promise.all(Array.from({ length: 8 }, (_, n) => insert(n)));
      expect(won.filter(Boolean)).toHaveLength(1);
      const n = won.indexOf(true);
      const record = { fingerprint: `print ${n}`, executionId: `k-${n}` };
      expect(await store.getIdempotencyKey("key")).toEqual(record);
      expect((await store.listOwn()).map(({ executionId }) => executionId)).toEqual([`k-${n}`]);
      await store.finish(`k-${n}`, COMPLETED, NO_OUTPUT, 2);
      expect(await insert(9)).toBe(false);
    });

    it("does not use up an idempotency key where there is no room", async () => {
      const idempotency = { key: "key", fingerprint: "print" };
      const insert = (maxUnfinished: number) =>
        store.insert({ ...SUBMISSION, executionId: "k-1" }, { maxUnfinished, idempotency });
      expect(await insert(0)).toBe(false);
      expect(await store.getIdempotencyKey("key")).toBeUndefined();
      expect(await insert(1)).toBe(true);
    });

    it("keeps an idempotency key as long as its execution, and for its time when that is forgotten", async () => {
      const insert = (executionId: string, createdAtMs: number) =>
        store.insert(
          { ...SUBMISSION, executionId, createdAtMs },
          { idempotency: { key: executionId, fingerprint: "print" } },
        );
      for (const [id, createdAtMs] of [
        ["old", 1_000],
        ["new", 3_000],
        ["kept", 1_000],
      ] as const) {
        expect(await insert(id, createdAtMs)).toBe(true);
      }
      for (const id of ["old", "new"]) await store.finish(id, COMPLETED, NO_OUTPUT, 4_000);
      expect(await store.deleteEndedBefore(5_000, 10)).toBe(2);
      expect(await store.deleteIdempotencyKeysBefore(2_000, 10)).toBe(1);
      expect(await store.getIdempotencyKey("old")).toBeUndefined();
      expect(await store.getIdempotencyKey("new")).toEqual({ fingerprint: "print", executionId: undefined });
      expect(await insert("new", 5_000)).toBe(false);
      expect(await store.getIdempotencyKey("kept")).toMatchObject({ executionId: "kept" });
      expect(await store.deleteIdempotencyKeysBefore(9_000, 10)).toBe(1);
    });

    it("lists as dead letters what ended through our own fault, newest first, filtered", async () => {
      const ids: Record<string, string> = {};
      for (const reason of END_REASONS) {
        const id = await running();
        const ending = reason === "completed" ? COMPLETED : failure(reason, `why ${reason}`, 3);
        await store.finish(id, ending, NO_OUTPUT, 3_000);
        ids[reason] = id;
      }
      await running();
      const other = await submit({ project: "other" });
      await store.finish(other, failure("start_failed", "no worker\0"), NO_OUTPUT, 4_000);
      const list = (filter: object = {}) =>
        store.listDeadLetters({ project: undefined, limit: 10, before: undefined, ...filter });
      const found = await list();
      expect(found.map(({ executionId }) => executionId)).toEqual([
        other,
        ids.start_failed,
        ids.worker_lost,
        ids.output_withheld,
      ]);
      expect(found[0]).toEqual({
        executionId: other,
        project: "other",
        endReason: "start_failed",
        error: "no worker\0",
        createdAtMs: 1_000 + count,
        endedAtMs: 4_000,
        retries: [],
      });
      const idsOf = (letters: readonly { executionId: string }[]) =>
        letters.map((letter) => letter.executionId);
      expect(idsOf(await list({ project: "demo", limit: 2 }))).toEqual([ids.start_failed, ids.worker_lost]);
      expect(idsOf(await list({ before: ids.worker_lost }))).toEqual([ids.output_withheld]);
    });

    it("makes each repetition of a dead letter once, and remembers which", async () => {
      const id = await running();
      expect(await store.getDeadLetter(id)).toBeUndefined();
      expect(await store.getDeadLetter("missing")).toBeUndefined();
      await store.finish(id, failure("worker_lost", "gone", 3), NO_OUTPUT, 3_000);
      const found = await store.getDeadLetter(id);
      expect(found).toMatchObject({
        letter: { executionId: id, endReason: "worker_lost", retries: [] },
        submission: {
          executionId: id,
          project: "demo",
          code: "print('ü')\n",
          timeoutMs: 60_000,
          settings: { REGION: "eu" },
          memoryJson: '{"a": {"n": 9007199254740993}}',
        },
      });
      const retry = (executionId: string, number: number) =>
        store.insert({ ...SUBMISSION, executionId }, { retry: { of: id, number } });
      const won = await Promise.all(Array.from({ length: 8 }, (_, n) => retry(`r-${n}`, 1)));
      expect(won.filter(Boolean)).toHaveLength(1);
      const first = `r-${won.indexOf(true)}`;
      expect((await store.listOwn()).map(({ executionId }) => executionId)).toEqual([first]);
      expect(await retry("a-2", 2)).toBe(true);
      expect((await store.getDeadLetter(id))?.letter.retries).toEqual([first, "a-2"]);
    });

    it("opens a question once, though it is told twice", async () => {
      const id = await awaiting();
      await store.answer(id, "llm_1", "first");
      expect(await store.markAwaiting(id, QUESTION, 6)).toBe(false);
      expect(await store.getAnswer(id, "llm_1")).toBe("first");
    });

    it("keeps one of two pieces of output with the same position, the later one", async () => {
      const id = await running();
      await store.appendOutput(id, { position: 0, stdout: "one ", stderr: "" });
      await store.appendOutput(id, { position: 0, stdout: "one two ", stderr: "e" });
      await store.finish(id, COMPLETED, { position: 1, stdout: "three", stderr: "" }, 3_000);
      expect(await store.get(id)).toMatchObject({ stdout: "one two three", stderr: "e" });
    });

    it("keeps every character that a script or an agent may send", async () => {
      const id = await running();
      // A half of a surrogate pair is no character; both adapters store what UTF-8 makes of it.
      const text = "\0 \x01\\ \\x00 \\000 ' \u2028 ü \u{1F600} \ufffe \uffff\0";
      const half = "\ud800";
      await store.markAwaiting(id, { id: "llm_1", prompt: text + half, model: text }, 1);
      expect((await store.get(id))?.state).toMatchObject({
        question: { prompt: `${text}\ufffd`, model: text },
      });
      await store.answer(id, "llm_1", text);
      expect(await store.getAnswer(id, "llm_1")).toBe(text);
      await store.appendOutput(id, { position: 0, stdout: text, stderr: text });
      const ending = {
        ...failure("script_error", text, 3),
        resultJson: '"\\u0000"',
        memoryUpdatesJson: '{"\\u0000":{}}',
      };
      await store.finish(id, ending, { position: 1, stdout: text, stderr: "" }, 2);
      expect(await store.get(id)).toMatchObject({ stdout: text + text, stderr: text, state: { ending } });
    });

    it("forgets only what ended before the given time, a batch at a time", async () => {
      const old = [await running(), await running(), await running()];
      for (const id of old) await store.finish(id, COMPLETED, { ...NO_OUTPUT, stdout: "x" }, 3_000);
      const recent = await running();
      await store.finish(recent, COMPLETED, NO_OUTPUT, 9_000);
      const active = await running();
      expect(await store.deleteEndedBefore(5_000, 2)).toBe(2);
      expect(await store.deleteEndedBefore(5_000, 2)).toBe(1);
      expect(await store.deleteEndedBefore(5_000, 2)).toBe(0);
      expect(await store.get(recent)).toBeDefined();
      expect(await store.get(active)).toBeDefined();
    });

    const stored = async (project = "demo") =>
      (await store.countStoredBytes()).find((each) => each.project === project)?.bytes ?? 0;

    it("adds nothing to a project that is held, until it is released", async () => {
      expect(await store.holdProject("demo", 1)).toBe(true);
      expect(await store.holdProject("demo", 2)).toBe(false);
      expect(await store.holdProject("apart", 3)).toBe(true);
      expect(await store.listHeldProjects()).toEqual(["apart", "demo"]);
      const insert = (executionId: string, project: string) =>
        store.insert(
          { ...SUBMISSION, executionId, project },
          { idempotency: { key: `key-of-${executionId}`, fingerprint: "f" } },
        );
      expect(await insert("0001", "demo")).toBe(false);
      expect(await store.get("0001")).toBeUndefined();
      // What was refused leaves its key free.
      expect(await store.getIdempotencyKey("key-of-0001")).toBeUndefined();
      expect(await insert("0002", "other")).toBe(true);
      expect(await store.releaseProject("demo")).toBe(true);
      expect(await store.releaseProject("demo")).toBe(false);
      expect(await store.listHeldProjects()).toEqual(["apart"]);
      expect(await insert("0001", "demo")).toBe(true);
    });

    it("counts every byte that an execution stores, from its submission until it is forgotten", async () => {
      expect(await store.countStoredBytes()).toEqual([]);
      const id = await submit({ code: "ü".repeat(500), settings: { A: "b" }, memoryJson: '{"c":{}}' });
      let expected = ROW_BYTES + 1_000 + '{"A":"b"}'.length + '{"c":{}}'.length;
      expect(await stored()).toBe(expected);
      await store.start(id, 1, GRANT);
      await store.appendOutput(id, { position: 0, stdout: "o".repeat(300), stderr: "e\0" });
      await store.markAwaiting(id, { ...QUESTION, prompt: "p".repeat(200) }, 5);
      // The result and the memory updates of an execution that has none are "null" and "{}".
      expected += 302 + 200 + QUESTION.model.length + "null{}".length;
      expect(await stored()).toBe(expected);
      await store.answer(id, undefined, "a".repeat(100));
      expect(await stored()).toBe(expected + 100);
      await store.markAwaiting(id, { ...QUESTION, id: "llm_2", prompt: "p" }, 6);
      await store.answer(id, undefined, "b");
      expected += 1 - 199;
      expect(await stored()).toBe(expected);
      await store.finish(id, COMPLETED, { position: 1, stdout: "ü", stderr: "" }, 3_000);
      expected += 2 + COMPLETED.resultJson.length + COMPLETED.memoryUpdatesJson.length - "null{}".length;
      expect(await stored()).toBe(expected);
      await submit({ project: "other" });
      expect((await store.countStoredBytes()).map(({ project }) => project).sort()).toEqual([
        "demo",
        "other",
      ]);
      expect(await store.deleteEndedBefore(5_000, 10)).toBe(1);
      expect(await store.countStoredBytes()).toEqual([{ project: "other", bytes: expect.any(Number) }]);
    });

    it("counts the error, and what was written before an ending by force", async () => {
      const id = await running();
      const before = await stored();
      await store.appendOutput(id, { position: 0, stdout: "one", stderr: "" });
      await store.forceFinish(id, failure("cancelled", "no\0"), 3_000);
      expect(await stored()).toBe(before + "one".length + "no\0".length + "null{}".length);
    });

    it("forgets a project's oldest ended executions until it stores no more than it may", async () => {
      const end = async (id: string, endedAtMs: number) => {
        await store.start(id, 1, GRANT);
        await store.finish(id, failure("worker_lost", "x".repeat(10_000)), NO_OUTPUT, endedAtMs);
      };
      const other = await submit({ project: "other" });
      await end(other, 1);
      const pending = await submit();
      const ids = [await submit(), await submit(), await submit(), await submit()];
      // The order of their ends counts, not that of their submission.
      for (const [index, id] of [...ids].reverse().entries()) await end(id, 3_000 + index);
      const all = await stored();
      expect(await store.deleteOldestEnded("demo", all, 10)).toEqual({ removed: 0, isBusy: false });
      expect(await store.deleteOldestEnded("demo", all - 1, 10)).toEqual({ removed: 1, isBusy: false });
      expect(await store.get(ids[3] as string)).toBeUndefined();
      expect(await store.deleteOldestEnded("demo", 0, 1)).toEqual({ removed: 1, isBusy: false });
      expect(await store.get(ids[2] as string)).toBeUndefined();
      expect(await store.deleteOldestEnded("demo", 0, 10)).toEqual({ removed: 2, isBusy: false });
      expect(await store.deleteOldestEnded("demo", 0, 10)).toEqual({ removed: 0, isBusy: false });
      expect(await store.get(pending)).toBeDefined();
      expect(await store.get(other)).toBeDefined();
      expect(await stored()).toBeGreaterThan(ROW_BYTES);
      expect(await store.deleteOldestEnded("unknown", 0, 10)).toEqual({ removed: 0, isBusy: false });
    });

    it("forgets large executions a few at a time", async () => {
      const ids = [await running(), await running(), await running()];
      for (const [index, id] of ids.entries()) {
        const large = { position: 0, stdout: "x".repeat(20 * 1024 * 1024), stderr: "" };
        await store.finish(id, COMPLETED, large, 3_000 + index);
      }
      expect(await store.deleteEndedBefore(5_000, 10)).toBe(2);
      expect(await store.get(ids[2] as string)).toBeDefined();
      expect(await store.deleteEndedBefore(5_000, 10)).toBe(1);
    });

    it("counts right under 200 submissions at once, of a few projects, that end at once", async () => {
      const ids = Array.from({ length: 200 }, (_, n) => `m-${String(n).padStart(3, "0")}`);
      await Promise.all(
        ids.map((executionId, n) =>
          store.insert({ ...SUBMISSION, executionId, project: `p${n % 3}`, code: "x".repeat(n) }),
        ),
      );
      const sum = async () => (await store.countStoredBytes()).reduce((all, { bytes }) => all + bytes, 0);
      expect(await sum()).toBe(200 * (ROW_BYTES + "{}{}".length) + (199 * 200) / 2);
      await Promise.all([
        ...ids.map((id) => store.forceFinish(id, failure("cancelled", "no"), 3_000)),
        store.deleteOldestEnded("p0", 0, 100),
        store.deleteEndedBefore(5_000, 100),
      ]);
      const removals = ["p0", "p1", "p2"].map((project) => store.deleteOldestEnded(project, 0, 100));
      await Promise.all(removals);
      expect(await store.countStoredBytes()).toEqual([]);
    });
  });
}

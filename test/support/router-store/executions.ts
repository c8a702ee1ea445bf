import { expect, it } from "vitest";
import { END_REASONS } from "#common/execution-names.ts";
import { failure, NO_OUTPUT, statusOf } from "../../../services/router/execution.ts";
import type { OwnChange } from "../../../services/router/store/store.ts";
import { PIECE_BYTES, ROW_BYTES } from "../../../services/router/store/stored-bytes.ts";
import { GRANT } from "../grant.ts";
import { awaiting, COMPLETED, count, LLM_REQUEST, running, store, stored, submit } from "./test-store.ts";

/** Tests an execution in the store from its submission to its end, and until it is forgotten. */
export function itKeepsExecutions(): void {
  it("the store gives a submission back unchanged, digit for digit", async () => {
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

  it("the outline of an execution in the store has the bytes that it stores, its output among them", async () => {
    const id = await running();
    const before = await store.getOutline(id);
    expect(before).toMatchObject({ status: "running" });
    await store.appendOutput(id, { position: 1, stdout: "ü".repeat(1_000), stderr: "e" });
    const bytes = (before?.bytes ?? 0) + 2_001 + PIECE_BYTES;
    expect(await store.getOutline(id)).toMatchObject({ status: "running", bytes });
    expect(await store.getOutline("unknown")).toBeUndefined();
  });

  it("the store counts the bytes of unfinished executions, apart from the started ones", async () => {
    await submit({ project: "other", memoryJson: `"${"x".repeat(998)}"` });
    const started = await running();
    await store.markAwaiting(started, LLM_REQUEST, 1);
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

  it("the store has nothing under an unknown id", async () => {
    expect(await store.get("missing")).toBeUndefined();
    expect(await store.start("missing", 1, GRANT)).toBeUndefined();
    expect(await store.requestCancel("missing")).toBe(false);
    expect(await store.finish("missing", COMPLETED, NO_OUTPUT, 1)).toBe(false);
  });

  it("the store starts an execution once", async () => {
    const id = await submit();
    const won = await Promise.all([store.start(id, 1, GRANT), store.start(id, 2, GRANT)]);
    expect(won.filter(Boolean)).toHaveLength(1);
  });

  it("the store keeps the result's text and adds up the output", async () => {
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

  it("the store keeps how long a script has run, and never less than it has shown", async () => {
    const id = await submit();
    const shown = async () => (await store.get(id))?.executionTimeMs;
    await store.noteRunningTime(id, 7);
    expect(await shown()).toBeNull();
    await store.start(id, 2_000, GRANT);
    expect(await shown()).toBe(0);
    await store.noteRunningTime(id, 1_000);
    await store.noteRunningTime(id, 900);
    expect(await shown()).toBe(1_000);
    await store.markAwaiting(id, LLM_REQUEST, 990);
    await store.noteRunningTime(id, 5_000);
    expect(await shown()).toBe(1_000);
    await store.respond(id, undefined, "yes");
    await store.markAwaiting(id, { ...LLM_REQUEST, id: "llm_2" }, 1_500);
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
  ])("the store records an ending after %j ms", async (ranMs, expected) => {
    const id = await running();
    await store.noteRunningTime(id, 1_000);
    await store.finish(id, failure("worker_lost", "gone", ranMs), NO_OUTPUT, 3_000);
    expect((await store.get(id))?.executionTimeMs).toBe(expected);
  });

  it.each(END_REASONS)("the store records %s under its status", async (reason) => {
    const ending = reason === "completed" ? COMPLETED : failure(reason, "why", 3);
    const id = await running();
    await store.finish(id, ending, NO_OUTPUT, 3_000);
    expect((await store.get(id))?.state).toMatchObject({ status: statusOf(ending), ending: { reason } });
  });

  it("the store keeps the first ending of an execution", async () => {
    const id = await running();
    const won = await Promise.all([
      store.finish(id, COMPLETED, NO_OUTPUT, 3_000),
      store.finish(id, failure("cancelled", "no"), { ...NO_OUTPUT, stdout: "late" }, 3_001),
    ]);
    expect(won.filter(Boolean)).toHaveLength(1);
    const winner = won[0] ? "completed" : "error";
    expect((await store.get(id))?.state.status).toBe(winner);
    expect(await store.markAwaiting(id, LLM_REQUEST, 1)).toBe(false);
    expect(await store.appendOutput(id, { ...NO_OUTPUT, stdout: "x" })).toBe(false);
    expect(await store.requestCancel(id)).toBe(false);
    expect((await store.get(id))?.state.status).toBe(winner);
  });

  it("the store takes one of eight racing answers", async () => {
    const id = await awaiting();
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, index) => store.respond(id, undefined, `answer ${index}`)),
    );
    expect(answers.filter(Boolean)).toHaveLength(1);
    expect(await store.getResponse(id, "llm_1")).toBe(`answer ${answers.indexOf(true)}`);
    expect((await store.get(id))?.state.status).toBe("running");
  });

  it("the store keeps an answer to the llm request that it names", async () => {
    const id = await awaiting();
    expect(await store.respond(id, "llm_2", "wrong")).toBe(false);
    expect((await store.get(id))?.state).toMatchObject({ status: "awaiting_llm", llmRequest: LLM_REQUEST });
    expect(await store.respond(id, "llm_1", "right")).toBe(true);
    expect(await store.getResponse(id, "llm_2")).toBeUndefined();
  });

  it("the store forgets the last answer when the next llm request opens", async () => {
    const id = await awaiting();
    await store.respond(id, undefined, "first");
    await store.markAwaiting(id, { ...LLM_REQUEST, id: "llm_2" }, 6);
    expect(await store.getResponse(id, "llm_2")).toBeUndefined();
    expect(await store.getResponse(id, "llm_1")).toBeUndefined();
  });

  it("the store adds up what was redacted, until the execution is forgotten", async () => {
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

  it("the store adds the redactions that come with an ending, and their bytes, only if it records the ending", async () => {
    const [id, plain] = [await submit({ project: "redacted" }), await submit({ project: "redacted" })];
    for (const each of [id, plain]) await store.start(each, 1, GRANT);
    await store.addRedactions(id, [{ secret: "TOKEN", field: "stdout", count: 2 }]);
    const last = [
      { secret: "TOKEN", field: "stdout", count: 3 },
      { secret: "KEY", field: "error", count: 1 },
    ];
    expect(await store.finish(id, COMPLETED, NO_OUTPUT, 3_000, last)).toBe(true);
    expect(await store.finish(id, COMPLETED, NO_OUTPUT, 3_000, last)).toBe(false);
    expect(await store.getRedactions(id)).toEqual([
      { secret: "KEY", field: "error", count: 1 },
      { secret: "TOKEN", field: "stdout", count: 5 },
    ]);
    await store.finish(plain, COMPLETED, NO_OUTPUT, 3_000);
    const [bytes, without] = [await store.getOutline(id), await store.getOutline(plain)];
    expect(bytes?.bytes).toBeGreaterThan(without?.bytes ?? 0);
    expect(await stored("redacted")).toBe((bytes?.bytes ?? 0) + (without?.bytes ?? 0));
  });

  it("the store tells listeners what it changed itself, and an outline that it tells is the stored one", async () => {
    const id = await submit();
    const told: (OwnChange | undefined)[] = [];
    store.onChange(id, (change) => told.push(change));
    await store.start(id, 1, GRANT);
    await store.markAwaiting(id, LLM_REQUEST, 5);
    await store.respond(id, LLM_REQUEST.id, "yes");
    await store.requestCancel(id);
    await store.finish(id, COMPLETED, { ...NO_OUTPUT, stdout: "ü\0" }, 3_000);
    const kinds = ["started", "paused", "answered", "cancel_requested", "ended"];
    expect(told.map((change) => change?.kind)).toEqual(kinds);
    const last = told.at(-1);
    if (last?.kind !== "ended") throw new Error("not the ending");
    // SQLite tells no outline, because a read in the same process costs next to nothing.
    if (!last.outline) return;
    const { execution, ...outline } = last.outline;
    expect(outline).toEqual(await store.getOutline(id));
    expect(execution).toEqual(await store.get(id));
  });

  it("the store tells no execution of which pieces of output were stored before", async () => {
    const id = await running();
    const told: (OwnChange | undefined)[] = [];
    store.onChange(id, (change) => told.push(change));
    await store.appendOutput(id, { ...NO_OUTPUT, stdout: "first" });
    await store.finish(id, COMPLETED, { position: 1, stdout: "last", stderr: "" }, 3_000);
    expect(told).toHaveLength(1);
    expect(told[0]).toMatchObject({ kind: "ended" });
    expect(JSON.stringify(told)).not.toContain("last");
  });

  it("the store starts an execution that was cancelled before, and says so", async () => {
    const id = await submit();
    await store.requestCancel(id);
    expect(await store.start(id, 1, GRANT)).toMatchObject({ isCancelRequested: true });
  });

  it("the store has no redactions of an unknown execution", async () => {
    await store.addRedactions("missing", [{ secret: "TOKEN", field: "stdout", count: 1 }]);
    expect(await store.getRedactions("missing")).toBeUndefined();
  });

  it("the store remembers that a cancellation was requested", async () => {
    const id = await running();
    expect(await store.isCancelRequested(id)).toBe(false);
    expect(await store.requestCancel(id)).toBe(true);
    expect(await store.isCancelRequested(id)).toBe(true);
  });

  it("the store notifies listeners of each change of state until they stop listening", async () => {
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

  it("the store opens an llm request once, even if it is told twice", async () => {
    const id = await awaiting();
    await store.respond(id, "llm_1", "first");
    expect(await store.markAwaiting(id, LLM_REQUEST, 6)).toBe(false);
    expect(await store.getResponse(id, "llm_1")).toBe("first");
  });

  it("the store keeps the later of two pieces of output with the same position", async () => {
    const id = await running();
    await store.appendOutput(id, { position: 0, stdout: "one ", stderr: "" });
    await store.appendOutput(id, { position: 0, stdout: "one two ", stderr: "e" });
    await store.finish(id, COMPLETED, { position: 1, stdout: "three", stderr: "" }, 3_000);
    expect(await store.get(id)).toMatchObject({ stdout: "one two three", stderr: "e" });
  });

  it("the store keeps every character that a script or an agent may send", async () => {
    const id = await running();
    // A half of a surrogate pair is no character; both adapters store its replacement in UTF-8.
    const text = "\0 \x01\\ \\x00 \\000 ' \u2028 ü \u{1F600} \ufffe \uffff\0";
    const half = "\ud800";
    await store.markAwaiting(id, { id: "llm_1", prompt: text + half, model: text }, 1);
    expect((await store.get(id))?.state).toMatchObject({
      llmRequest: { prompt: `${text}\ufffd`, model: text },
    });
    await store.respond(id, "llm_1", text);
    expect(await store.getResponse(id, "llm_1")).toBe(text);
    await store.appendOutput(id, { position: 0, stdout: text, stderr: text });
    const ending = {
      ...failure("script_error", text, 3),
      resultJson: '"\\u0000"',
      memoryUpdatesJson: '{"\\u0000":{}}',
    };
    await store.finish(id, ending, { position: 1, stdout: text, stderr: "" }, 2);
    expect(await store.get(id)).toMatchObject({ stdout: text + text, stderr: text, state: { ending } });
  });

  it("the store forgets only executions that ended before the given time, a batch at a time", async () => {
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
}

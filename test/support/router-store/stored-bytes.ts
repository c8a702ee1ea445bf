import { expect, it } from "vitest";
import { failure, NO_OUTPUT } from "../../../services/router/execution.ts";
import { PIECE_BYTES, ROW_BYTES } from "../../../services/router/store/stored-bytes.ts";
import { GRANT } from "../grant.ts";
import { SUBMISSION } from "../submission.ts";
import { COMPLETED, LLM_REQUEST, running, store, stored, submit } from "./test-store.ts";

/** Tests the bytes that projects store, and the executions that are forgotten to free space. */
export function itCountsBytes(): void {
  it("the store adds nothing to a project that is on hold, until it is released", async () => {
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
    // A refused submission leaves its key free.
    expect(await store.getIdempotencyKey("key-of-0001")).toBeUndefined();
    expect(await insert("0002", "other")).toBe(true);
    expect(await store.releaseProject("demo")).toBe(true);
    expect(await store.releaseProject("demo")).toBe(false);
    expect(await store.listHeldProjects()).toEqual(["apart"]);
    expect(await insert("0001", "demo")).toBe(true);
  });

  it("the store counts every byte of an execution, from its submission until it is forgotten", async () => {
    expect(await store.countStoredBytes()).toEqual([]);
    const id = await submit({ code: "ü".repeat(500), settings: { A: "b" }, memoryJson: '{"c":{}}' });
    let expected = ROW_BYTES + 1_000 + '{"A":"b"}'.length + '{"c":{}}'.length;
    expect(await stored()).toBe(expected);
    await store.start(id, 1, GRANT);
    await store.appendOutput(id, { position: 0, stdout: "o".repeat(300), stderr: "e\0" });
    await store.markAwaiting(id, { ...LLM_REQUEST, prompt: "p".repeat(200) }, 5);
    // An execution without result and memory updates stores "null" and "{}".
    expected += PIECE_BYTES + 302 + 200 + LLM_REQUEST.model.length + "null{}".length;
    expect(await stored()).toBe(expected);
    await store.respond(id, undefined, "a".repeat(100));
    expect(await stored()).toBe(expected + 100);
    await store.markAwaiting(id, { ...LLM_REQUEST, id: "llm_2", prompt: "p" }, 6);
    await store.respond(id, undefined, "b");
    expected += 1 - 199;
    expect(await stored()).toBe(expected);
    await store.finish(id, COMPLETED, { position: 1, stdout: "ü", stderr: "" }, 3_000);
    expected +=
      PIECE_BYTES + 2 + COMPLETED.resultJson.length + COMPLETED.memoryUpdatesJson.length - "null{}".length;
    expect(await stored()).toBe(expected);
    await submit({ project: "other" });
    expect((await store.countStoredBytes()).map(({ project }) => project).sort()).toEqual(["demo", "other"]);
    expect(await store.deleteEndedBefore(5_000, 10)).toBe(1);
    expect(await store.countStoredBytes()).toEqual([{ project: "other", bytes: expect.any(Number) }]);
  });

  it("the store counts the error, and the output written before an ending by force", async () => {
    const id = await running();
    const before = await stored();
    await store.appendOutput(id, { position: 0, stdout: "one", stderr: "" });
    await store.forceFinish(id, failure("cancelled", "no\0"), 3_000);
    expect(await stored()).toBe(before + PIECE_BYTES + "one".length + "no\0".length + "null{}".length);
  });

  it("the store counts the bytes of redactions, also when the execution has ended before", async () => {
    const redactions = (field: string) =>
      Array.from({ length: 200 }, (_, n) => ({
        secret: `SECRET_${String(n).padStart(3, "0")}`,
        field,
        count: n,
      }));
    const least = 200 * "stdout".length + 200 * "SECRET_000".length;
    const id = await running();
    const before = (await stored()) + "null{}".length;
    await store.addRedactions(id, redactions("stdout"));
    await store.markAwaiting(id, { ...LLM_REQUEST, prompt: "", model: "" }, 5);
    const paused = await stored();
    expect(paused).toBeGreaterThan(before + least);
    expect(paused).toBeLessThan(before + 3 * least);
    // Redactions of the same secrets again increase counts, and add no bytes.
    await store.addRedactions(id, redactions("stdout"));
    await store.forceFinish(id, failure("cancelled", ""), 3_000);
    expect(await stored()).toBeLessThan(paused + least / 4);
    const ended = await stored();
    await store.addRedactions(id, redactions("stderr"));
    expect(await stored()).toBeGreaterThan(ended + least);
    expect((await store.getRedactions(id))?.length).toBe(400);
    expect(await store.deleteOldestEnded("demo", 0, 10)).toEqual({ removed: 1, isBusy: false });
    expect(await store.countStoredBytes()).toEqual([]);
  });

  it("the store forgets a project's oldest ended executions until it stores no more than it may", async () => {
    const end = async (id: string, endedAtMs: number) => {
      await store.start(id, 1, GRANT);
      await store.finish(id, failure("worker_lost", "x".repeat(10_000)), NO_OUTPUT, endedAtMs);
    };
    const other = await submit({ project: "other" });
    await end(other, 1);
    const pending = await submit();
    const ids = [await submit(), await submit(), await submit(), await submit()];
    // The order of the endings counts, not that of the submissions.
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

  it("the store forgets large executions a few at a time", async () => {
    const ids = [await running(), await running(), await running()];
    for (const [index, id] of ids.entries()) {
      const large = { position: 0, stdout: "x".repeat(20 * 1024 * 1024), stderr: "" };
      await store.finish(id, COMPLETED, large, 3_000 + index);
    }
    expect(await store.deleteEndedBefore(5_000, 10)).toBe(2);
    expect(await store.get(ids[2] as string)).toBeDefined();
    expect(await store.deleteEndedBefore(5_000, 10)).toBe(1);
  });

  it("the store counts correctly under 200 submissions at once, of a few projects, that end at once", async () => {
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
}

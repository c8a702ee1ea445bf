import { expect, it } from "vitest";
import { NO_OUTPUT } from "../../../services/router/execution.ts";
import { GRANT } from "../grant.ts";
import { SUBMISSION } from "../submission.ts";
import { COMPLETED, store, submit } from "./test-store.ts";

/** Tests which submissions a store accepts: within the limits, and once for an idempotency key. */
export function itAdmits(): void {
  it("the store accepts no more executions than the project may have, and accepts again when one has ended", async () => {
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

  it("the store accepts no more executions than all projects may have together", async () => {
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

  it("the store adds one execution for an idempotency key, however many requests race", async () => {
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

  it("the store does not use up an idempotency key where the queue is full", async () => {
    const idempotency = { key: "key", fingerprint: "print" };
    const insert = (maxUnfinished: number) =>
      store.insert({ ...SUBMISSION, executionId: "k-1" }, { maxUnfinished, idempotency });
    expect(await insert(0)).toBe(false);
    expect(await store.getIdempotencyKey("key")).toBeUndefined();
    expect(await insert(1)).toBe(true);
  });

  it("the store keeps an idempotency key as long as its execution, and for its own time when that is forgotten", async () => {
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
}

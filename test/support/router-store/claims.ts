import { expect, it } from "vitest";
import { failure, NO_OUTPUT } from "../../../services/router/execution.ts";
import { GRANT } from "../grant.ts";
import { awaiting, COMPLETED, LLM_REQUEST, running, store, submit } from "./test-store.ts";

/** Tests lists of executions, and which router owns which execution. */
export function itKeepsClaims(): void {
  it("the store lists executions in pages, newest first, filtered", async () => {
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

  it("a router has its executions until it gives them back, then the router that claims them", async () => {
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

  it("the store gives a claimed run back with all its data, and nothing that has ended", async () => {
    const [active, paused, ended] = [await running(), await awaiting(), await submit()];
    await store.appendOutput(active, { position: 0, stdout: "one", stderr: "" });
    await store.finish(ended, failure("cancelled", "no"), NO_OUTPUT, 3);
    expect(await store.claimOrphaned(10)).toEqual([]);
    for (const id of [active, paused, ended]) await store.release(id);
    expect(await store.claimPending(10)).toEqual([]);
    expect(await store.listOwn()).toEqual([]);
    const [lost, ...more] = [...(await store.claimOrphaned(1)), ...(await store.claimOrphaned(10))];
    expect(lost).toMatchObject({
      executionId: active,
      timeoutMs: 60_000,
      epoch: 2,
      grant: GRANT,
      position: 1,
    });
    expect(more).toMatchObject([{ executionId: paused, epoch: 2, grant: GRANT, position: 0 }]);
    const submitted = { executionId: active, code: "print('ü')\n", settings: { REGION: "eu" } };
    expect(await store.getSubmission(active)).toMatchObject(submitted);
    expect(await store.getSubmission("unknown")).toBeUndefined();
    expect(await store.getRun(active)).toEqual({ grant: GRANT, epoch: 2 });
    expect(await store.getRun(ended)).toBeUndefined();
    expect(await store.listOwn()).toMatchObject([{ hasStarted: true }, { hasStarted: true }]);
    expect(await store.finish(active, COMPLETED, NO_OUTPUT, 3_000)).toBe(true);
  });

  it("the store lets only the owning router change a run, and every router end it by force", async () => {
    const id = await running();
    await store.release(id);
    expect(await store.appendOutput(id, { position: 0, stdout: "late", stderr: "" })).toBe(false);
    expect(await store.markAwaiting(id, LLM_REQUEST, 1)).toBe(false);
    expect(await store.finish(id, COMPLETED, NO_OUTPUT, 3_000)).toBe(false);
    expect(await store.forceFinish(id, failure("cancelled", "no"), 3_000)).toBe(true);
    expect(await store.forceFinish(id, failure("killed", "no"), 3_001)).toBe(false);
    expect((await store.get(id))?.state).toMatchObject({
      status: "error",
      ending: { reason: "cancelled" },
    });
  });
}

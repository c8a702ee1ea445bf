import { expect, it } from "vitest";
import { END_REASONS } from "#common/execution-names.ts";
import { failure, NO_OUTPUT } from "../../../services/router/execution.ts";
import { SUBMISSION } from "../submission.ts";
import { COMPLETED, count, running, store, submit } from "./test-store.ts";

/** Tests dead letters and their repetitions. */
export function itKeepsDeadLetters(): void {
  it("the store lists as dead letters the executions that ended through Airlock's fault, newest first, filtered", async () => {
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
      newestRetries: [],
      retries: 0,
    });
    const idsOf = (letters: readonly { executionId: string }[]) =>
      letters.map((letter) => letter.executionId);
    expect(idsOf(await list({ project: "demo", limit: 2 }))).toEqual([ids.start_failed, ids.worker_lost]);
    expect(idsOf(await list({ before: ids.worker_lost }))).toEqual([ids.output_withheld]);
  });

  it("the store makes each repetition of a dead letter once, and remembers its execution", async () => {
    const id = await running();
    expect(await store.getDeadLetter(id)).toBeUndefined();
    expect(await store.getDeadLetter("missing")).toBeUndefined();
    await store.finish(id, failure("worker_lost", "gone", 3), NO_OUTPUT, 3_000);
    const found = await store.getDeadLetter(id);
    expect(found).toMatchObject({
      letter: { executionId: id, endReason: "worker_lost", newestRetries: [], retries: 0 },
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
    const letter = (await store.getDeadLetter(id))?.letter;
    expect(letter).toMatchObject({ newestRetries: [first, "a-2"], retries: 2 });
  });

  it("the store shows the newest twenty repetitions, lists all in pages, and counts the forgotten ones", async () => {
    const id = await running();
    await store.finish(id, failure("worker_lost", "gone", 3), NO_OUTPUT, 3_000);
    const idOf = (number: number) => `r-${String(number).padStart(3, "0")}`;
    const retry = (number: number) =>
      store.insert({ ...SUBMISSION, executionId: idOf(number) }, { retry: { of: id, number } });
    for (let number = 1; number <= 25; number++) expect(await retry(number)).toBe(true);
    const newest = Array.from({ length: 20 }, (_, n) => idOf(n + 6));
    const shown = async () => (await store.getDeadLetter(id))?.letter;
    expect(await shown()).toMatchObject({ newestRetries: newest, retries: 25 });
    const all = { project: undefined, limit: 50, before: undefined };
    const [listed] = await store.listDeadLetters(all);
    expect(listed).toMatchObject({ executionId: id, newestRetries: newest, retries: 25 });
    const page = async (before: string | undefined) =>
      (await store.list({ ...all, status: undefined, limit: 2, before, retryOf: id })).map(
        ({ executionId }) => executionId,
      );
    expect(await page(undefined)).toEqual([idOf(25), idOf(24)]);
    expect(await page(idOf(2))).toEqual([idOf(1)]);
    for (let number = 1; number <= 24; number++) {
      await store.forceFinish(idOf(number), failure("cancelled", "no"), 10);
    }
    await store.deleteEndedBefore(100, 100);
    expect(await shown()).toMatchObject({ newestRetries: [idOf(25)], retries: 25 });
    expect(await page(undefined)).toEqual([idOf(25)]);
    expect(await retry(25)).toBe(false);
    expect(await retry(26)).toBe(true);
  });
}

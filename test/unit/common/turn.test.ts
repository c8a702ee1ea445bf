import { setImmediate as nextRound } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { TextSteps } from "#common/event-loop/text-steps.ts";
import { Turn, takeTurns } from "#common/event-loop/turn.ts";

describe("long computations", () => {
  it("several long computations that are under way run one per round of the event loop", async () => {
    let round = 0;
    let isDone = false;
    const workedIn = new Map<number, Set<number>>();
    function* work(self: number): Generator<void> {
      for (let step = 0; step < 20; step++) {
        workedIn.set(round, (workedIn.get(round) ?? new Set()).add(self));
        for (const until = performance.now() + 0.5; performance.now() < until; );
        yield;
      }
    }
    const others = (async () => {
      for (; !isDone; round++) await new Promise((resolve) => setImmediate(resolve));
    })();
    await Promise.all(Array.from({ length: 10 }, (_, self) => takeTurns(work(self))));
    isDone = true;
    await others;
    const atOnce = [...workedIn].filter(([inRound]) => inRound > 0).map(([, workers]) => workers.size);
    expect(atOnce.length).toBeGreaterThan(1);
    expect(Math.max(...atOnce)).toBe(1);
  });

  it("long computations end with the error `cancelled` when their caller is gone", async () => {
    function* endless(): Generator<void> {
      for (;;) yield;
    }
    const abort = new AbortController();
    const done = takeTurns(endless(), abort.signal);
    abort.abort();
    await expect(done).rejects.toMatchObject({ code: "cancelled" });
  });
});

it("a text whose bytes take long to process is processed in small steps, between which other work goes on", async () => {
  const parts: number[] = [];
  const work = (part: Uint8Array) => {
    parts.push(part.length);
    const { user, system } = process.threadCpuUsage();
    // A millisecond for each 2 KiB, sixty times as long as usual.
    const untilMs = (user + system) / 1_000 + part.length / 2_048;
    for (let now = 0; now < untilMs; ) {
      const used = process.threadCpuUsage();
      now = (used.user + used.system) / 1_000;
    }
  };
  await new TextSteps().each(new Uint8Array(128 * 1024), work);
  expect(parts.reduce((sum, length) => sum + length, 0)).toBe(128 * 1024);
  expect(parts.slice(1).every((length) => length <= 4_096)).toBe(true);
});

it("a text of usual bytes is processed in few steps", async () => {
  let steps = 0;
  await new TextSteps().each(new Uint8Array(1024 * 1024), () => void steps++);
  expect(steps).toBeLessThan(20);
});

// Kept, because V8 leaves a loop out whose result nobody reads.
let computed = 0;

function compute(rounds: number): void {
  let sum = computed;
  for (let round = 0; round < rounds; round++) sum = (sum + Math.imul(round, 0x9e3779b1)) | 0;
  computed = sum;
}

/** The fastest of some measurements is the one in which nothing else ran. */
const roundsPerMs = Math.max(
  ...Array.from({ length: 100 }, () => {
    const fromMs = performance.now();
    compute(500_000);
    return 500_000 / (performance.now() - fromMs);
  }),
);

describe("computations of several owners", () => {
  const worked = new Map<string, number>();
  const workedMs = (owner: string) => worked.get(owner) ?? 0;

  /** Works for about `totalMs` in steps of `stepMs`: so many rounds, because a busy machine takes this thread away at any time. */
  function* steps(owner: string, totalMs: number, stepMs: number): Generator<void> {
    for (let doneMs = 0; doneMs < totalMs; doneMs += stepMs) {
      compute(stepMs * roundsPerMs);
      worked.set(owner, workedMs(owner) + stepMs);
      yield;
    }
  }
  const work = (owner: string, totalMs: number, stepMs: number, signal?: AbortSignal) =>
    takeTurns(steps(owner, totalMs, stepMs), signal, new Turn(owner));

  it("computations of several owners share the process by the time they take, whatever their number and step length", async () => {
    const abort = new AbortController();
    const hostile = Array.from({ length: 10 }, () =>
      work("hostile", 60_000, 20, abort.signal).catch(() => undefined),
    );
    await nextRound();
    const before = workedMs("hostile");
    await Promise.all(["one", "two"].map((owner) => work(owner, 600, 1)));
    // With one queue for all computations each turn of the others took 200 ms of the hostile ones.
    expect(workedMs("hostile") - before).toBeLessThan(2_000);
    expect(workedMs("hostile") - before).toBeGreaterThan(20);
    abort.abort();
    await Promise.all(hostile);
  });

  it("computations of an owner that worked alone before do not wait for that time", async () => {
    const abort = new AbortController();
    for (let call = 0; call < 1_200; call++) await work("often", 1.5, 1.5);
    const others = work("new", 60_000, 1, abort.signal).catch(() => undefined);
    await work("often", 20, 1);
    // All that it worked alone is 1,800 ms.
    expect(workedMs("new")).toBeLessThan(900);
    abort.abort();
    await others;
  });
});

import { describe, expect, it } from "vitest";
import { TextSteps, takeTurns } from "#common/event-loop/turn.ts";

describe("long computations", () => {
  it("of which several are under way have a round of the event loop each", async () => {
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

  it("end with the error `cancelled` when nobody waits for them any more", async () => {
    function* endless(): Generator<void> {
      for (;;) yield;
    }
    const abort = new AbortController();
    const done = takeTurns(endless(), abort.signal);
    abort.abort();
    await expect(done).rejects.toMatchObject({ code: "cancelled" });
  });
});

it("a text whose bytes take long is worked on in small steps, between which other work goes on", async () => {
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

it("a text of usual bytes is worked on in few steps", async () => {
  let steps = 0;
  await new TextSteps().each(new Uint8Array(1024 * 1024), () => void steps++);
  expect(steps).toBeLessThan(20);
});

import { describe, expect, it } from "vitest";
import { takeTurns } from "../../../services/common/turn.ts";

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

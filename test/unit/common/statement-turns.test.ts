import { beforeEach, describe, expect, it } from "vitest";
import { createStatementTurns, type StatementTurns } from "#common/database/statement-turns.ts";
import { createFakeClock, type FakeClock, settle } from "../../support/fake-clock.ts";

let clock: FakeClock;
let turns: StatementTurns;
let begun: string[];

/** A statement that ends when it is told to. */
function statement(name: string, isUrgent = false, signal?: AbortSignal) {
  const done = Promise.withResolvers<string>();
  const outcome = turns
    .run(
      () => {
        begun.push(name);
        return done.promise;
      },
      isUrgent,
      signal,
    )
    .catch((error: { code: string }) => error.code);
  return { outcome, end: () => done.resolve(name), fail: () => done.reject({ code: "failed" }) };
}

beforeEach(() => {
  clock = createFakeClock();
  turns = createStatementTurns(2, 1_000, clock);
  begun = [];
});

describe("statements over two connections", () => {
  it("statements over two connections are two at a time, first come, first served, and an urgent one is next", async () => {
    const all = ["a", "b", "c", "d"].map((name) => statement(name));
    const urgent = statement("urgent", true);
    await settle();
    expect(begun).toEqual(["a", "b"]);
    all[0]?.end();
    await settle();
    expect(begun).toEqual(["a", "b", "urgent"]);
    all[1]?.fail();
    urgent.end();
    await settle();
    expect(begun).toEqual(["a", "b", "urgent", "c", "d"]);
    for (const { end } of all) end();
    expect(await Promise.all(all.map(({ outcome }) => outcome))).toEqual(["a", "failed", "c", "d"]);
  });

  it("statements over two connections are refused when their turn does not come in time, and those behind them move up", async () => {
    const [first, second] = [statement("a"), statement("b")];
    const late = statement("late");
    await clock.advance(600);
    const next = statement("next");
    await clock.advance(500);
    expect(await late.outcome).toBe("unavailable");
    first.end();
    await settle();
    expect(begun).toEqual(["a", "b", "next"]);
    // Both places are free again, and no more than both.
    for (const { end } of [second, next]) end();
    await settle();
    for (const name of ["x", "y", "z"]) statement(name);
    await settle();
    expect(begun.slice(3)).toEqual(["x", "y"]);
  });

  it("statements over two connections leave the queue when their caller gives up, and a running one goes on", async () => {
    const caller = new AbortController();
    const running = statement("a", false, caller.signal);
    const [second, waiting] = [statement("b"), statement("given up", true, caller.signal)];
    const next = statement("next");
    await settle();
    caller.abort(new DOMException("too late", "TimeoutError"));
    expect(await waiting.outcome).toBe("deadline_exceeded");
    expect(await statement("never begins", false, caller.signal).outcome).toBe("deadline_exceeded");
    running.end();
    expect(await running.outcome).toBe("a");
    for (const { end } of [second, next]) end();
    await settle();
    expect(begun).toEqual(["a", "b", "next"]);
    expect(clock.waiting()).toBe(0);
  });

  it("statements over two connections are urgent first, in the order in which they came", async () => {
    const all = ["a", "b", "other"].map((name) => statement(name));
    for (const name of ["first", "second"]) all.push(statement(name, true));
    for (const { end } of all) {
      await settle();
      end();
    }
    await settle();
    expect(begun).toEqual(["a", "b", "first", "second", "other"]);
  });

  it("statements over two connections are refused when five thousand wait", async () => {
    const all = Array.from({ length: 5_002 }, (_, n) => statement(`${n}`));
    expect(await statement("too many").outcome).toBe("unavailable");
    all[0]?.end();
    await settle();
    const more = statement("one more");
    for (const { end } of [...all, more]) end();
    expect(await more.outcome).toBe("one more");
  });
});

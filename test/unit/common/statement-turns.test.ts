import { beforeEach, describe, expect, it } from "vitest";
import { createStatementTurns, type StatementTurns } from "#common/database/statement-turns.ts";
import { createFakeClock, type FakeClock, settle } from "../../support/fake-clock.ts";

let clock: FakeClock;
let turns: StatementTurns;
let begun: string[];

/** A statement that ends when it is told to. */
function statement(name: string, isUrgent = false) {
  const done = Promise.withResolvers<string>();
  const outcome = turns
    .run(() => {
      begun.push(name);
      return done.promise;
    }, isUrgent)
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
});

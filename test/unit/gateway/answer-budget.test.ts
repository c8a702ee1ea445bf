import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { AnswerBudget } from "../../../gateway/rest/answers/answer-budget.ts";

const MIB = 1024 * 1024;

describe("the budget of answers", () => {
  let all: AnswerBudget;
  let givenUp: string[];
  beforeEach(() => {
    vi.useFakeTimers();
    all = new AnswerBudget(() => Date.now());
    givenUp = [];
  });
  afterEach(() => vi.useRealTimers());

  /** An answer that is being sent, of which its client takes so much each second. */
  async function send(name: string, bytes: number, takenEachSecond: number) {
    const hold = all.open();
    await hold.reserve(bytes);
    const beganMs = Date.now();
    hold.sending(bytes, {
      taken: () => ((Date.now() - beganMs) / 1_000) * takenEachSecond,
      giveUp: () => givenUp.push(name),
    });
    return hold;
  }

  it("the budget of answers lets answers wait for memory, in their order", async () => {
    const first = await send("first", 100 * MIB, 2 * MIB);
    const order: string[] = [];
    const large = all.open();
    const small = all.open();
    const both = [
      large.reserve(60 * MIB).then(() => order.push("large")),
      small.reserve(MIB).then(() => order.push("small")),
    ];
    await vi.advanceTimersByTimeAsync(1_000);
    expect(order).toEqual([]);
    first.release();
    first.release();
    await Promise.all(both);
    expect(order).toEqual(["large", "small"]);
    expect(all.bytes).toBe(61 * MIB);
    large.release();
    small.release();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("the budget of answers refuses an answer that has waited for five seconds, and drops answers whose client has gone", async () => {
    await send("quick", 128 * MIB, 2 * MIB);
    const gone = new AbortController();
    const left = all.open().reserve(MIB, gone.signal);
    const refused = all.open().reserve(MIB);
    const refusal = expect(refused).rejects.toMatchObject({ code: "overloaded" });
    gone.abort();
    await expect(left).rejects.toMatchObject({ code: "cancelled" });
    await vi.advanceTimersByTimeAsync(5_000);
    await refusal;
    expect(givenUp).toEqual([]);
    expect(all.bytes).toBe(128 * MIB);
  });

  it("the budget of answers gives up slowly read answers once another answer needs their memory, and no others", async () => {
    await send("still", 60 * MIB, 0);
    await send("quick", 40 * MIB, 2 * MIB);
    await send("slow", 28 * MIB, 1_000);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(givenUp).toEqual([]);
    await all.open().reserve(50 * MIB);
    expect(givenUp).toEqual(["still"]);
    await all.open().reserve(30 * MIB);
    expect(givenUp).toEqual(["still", "slow"]);
  });

  it("the budget of answers lets an answer through that exceeds the whole budget, when there is no other", async () => {
    const hold = all.open();
    await hold.reserve(300 * MIB);
    expect(hold.bytes).toBe(300 * MIB);
  });
});

import { describe, expect, it } from "vitest";
import { doubling, every, type RetryPolicy, retry } from "#common/resilience/retry.ts";
import { createFakeClock } from "../../support/fake-clock.ts";

const failure = (n: number) => new Error(`failure ${n}`);
function failing(times: number) {
  let attempts = 0;
  return {
    attempts: () => attempts,
    work: async () => {
      attempts++;
      if (attempts <= times) throw failure(attempts);
      return `after ${attempts}`;
    },
  };
}
const always: Pick<RetryPolicy, "mayRetry"> = { mayRetry: () => true };

describe("retry", () => {
  it("retry stops after an attempt that succeeds", async () => {
    const { work, attempts } = failing(0);
    expect(await retry(work, { ...always, delayMs: every(10), clock: createFakeClock() })).toBe("after 1");
    expect(attempts()).toBe(1);
  });

  it("retry waits between attempts for as long as the policy says", async () => {
    const clock = createFakeClock();
    const { work, attempts } = failing(3);
    const result = retry(work, { ...always, delayMs: doubling(100, 300), clock });
    const counts: number[] = [];
    for (const ms of [99, 1, 199, 1, 299, 1]) {
      await clock.advance(ms);
      counts.push(attempts());
    }
    expect(counts).toEqual([1, 2, 2, 3, 3, 4]);
    expect(await result).toBe("after 4");
  });

  it("retry throws a permanent error at once, and the last error when the policy gives up", async () => {
    const clock = createFakeClock();
    const never = retry(failing(9).work, { mayRetry: () => false, delayMs: every(1), clock });
    await expect(never).rejects.toThrow("failure 1");
    const thrice = retry(failing(9).work, {
      mayRetry: (_, attempt) => attempt < 3,
      delayMs: every(1),
      clock,
    });
    thrice.catch(() => undefined);
    await clock.advance(10);
    await expect(thrice).rejects.toThrow("failure 3");
  });

  it("retry ends its wait with the signal's reason, and leaves no timer", async () => {
    const clock = createFakeClock();
    const abort = new AbortController();
    const { work, attempts } = failing(9);
    const result = retry(work, { ...always, delayMs: every(1_000), clock, signal: abort.signal });
    result.catch(() => undefined);
    await clock.advance(500);
    expect(clock.waiting()).toBe(1);
    abort.abort(new Error("enough"));
    await expect(result).rejects.toThrow("enough");
    expect([attempts(), clock.waiting()]).toEqual([1, 0]);
  });

  it("retry does not repeat an attempt that fails after the signal", async () => {
    const abort = new AbortController();
    const work = async () => {
      abort.abort(new Error("enough"));
      throw failure(1);
    };
    const policy = { ...always, delayMs: every(1), clock: createFakeClock(), signal: abort.signal };
    await expect(retry(work, policy)).rejects.toThrow("enough");
  });
});

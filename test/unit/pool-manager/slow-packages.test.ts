import { beforeEach, describe, expect, it } from "vitest";
import { settle } from "../../support/fake-clock.ts";
import { createTestPools } from "../../support/worker-places.ts";

let { clock, open, join, joinWith } = createTestPools();
beforeEach(() => {
  ({ clock, open, join, joinWith } = createTestPools());
});

describe("a project whose packages take long", () => {
  const joinSlow = async (name: string) => {
    const pool = join(name);
    pool.hangs = true;
    pool.queue = 1;
    await pool.desire(1);
    return pool;
  };

  it("keeps its place for five seconds only, and the worker has another one when the packages are there", async () => {
    open(1, 8);
    const slow = await joinSlow("slow");
    const good = join("good");
    good.queue = 1;
    await good.desire(1);
    expect([slow.preparing.length, good.starts.length]).toEqual([1, 0]);
    expect(good.place.reason()).toContain("The one worker");
    await clock.advance(5_000);
    expect([slow.preparing.length, good.starts.length]).toEqual([1, 1]);
    expect(good.place.reason()).toBe("");
    good.busy = 1;
    await good.comes();
    slow.packages.resolve();
    await settle();
    // The worker of the other project is busy, so the start waits, and says why.
    expect([slow.preparing.length, slow.starts.length]).toEqual([1, 0]);
    expect(slow.place.reason()).toContain("The one worker");
    good.queue = 0;
    await good.desire(0);
    await good.rests();
    await clock.advance(11_000);
    expect([good.workers, slow.preparing.length, slow.starts.length]).toEqual([0, 0, 1]);
    await slow.comes();
    expect([slow.workers, slow.place.reason()]).toEqual([1, ""]);
  });

  it("as many such projects as there are workers keep no other project waiting", async () => {
    open(2, 2);
    const slow = [await joinSlow("slow-1"), await joinSlow("slow-2"), await joinSlow("slow-3")];
    await clock.advance(10_000);
    expect(slow.map(({ preparing }) => preparing.length)).toEqual([1, 1, 1]);
    const good = join("good");
    good.queue = 1;
    await good.desire(1);
    expect(good.starts).toHaveLength(1);
    // All are there at once: no more workers begin than there are places.
    for (const { packages } of slow) packages.resolve();
    await settle();
    expect(slow.map(({ starts }) => starts.length)).toEqual([1, 0, 0]);
    expect(slow[0]?.place.isOver()).toBe(false);
    await good.comes();
    good.queue = 0;
    await good.desire(0);
    await clock.advance(11_000);
    expect(slow.map(({ starts }) => starts.length)).toEqual([1, 1, 0]);
  });

  it("gives nothing back twice when its packages fail, or when it is given up while it waits for a place", async () => {
    open(1, 8);
    const [failing, closing] = [await joinSlow("failing"), await joinSlow("closing")];
    await clock.advance(5_000);
    expect([failing.preparing.length, closing.preparing.length]).toEqual([1, 1]);
    await clock.advance(5_000);
    failing.queue = 0;
    await failing.desire(0);
    await failing.fails();
    const good = await joinWith("good", 1, 1);
    closing.packages.resolve();
    await settle();
    expect(closing.preparing).toHaveLength(1);
    closing.queue = 0;
    await closing.desire(0);
    closing.abort.abort(new Error("closing"));
    await settle();
    expect([closing.preparing.length, closing.starts.length]).toEqual([0, 0]);
    const more = join("more");
    more.queue = 1;
    await more.desire(1);
    expect([good.workers, more.starts.length]).toEqual([1, 0]);
  });
});

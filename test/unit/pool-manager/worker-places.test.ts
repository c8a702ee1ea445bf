import { beforeEach, describe, expect, it } from "vitest";
import { createTestPools } from "../../support/worker-places.ts";

let { clock, open, join, joinWith } = createTestPools();
beforeEach(() => {
  ({ clock, open, join, joinWith } = createTestPools());
});

describe("starts", () => {
  it("starts of a project's first worker come one by one, of its further workers a few at a time", async () => {
    open(32, 4);
    const many = join("many");
    await many.desire(20);
    expect(many.starts).toHaveLength(1);
    await many.comes();
    expect(many.starts).toHaveLength(3);
    await many.comes();
    expect(many.starts).toHaveLength(3);
    while (many.starts.length > 0) await many.comes();
    expect(many.workers).toBe(20);
  });

  it("starts leave the last lane to a project without a worker, and the next one to the project with the fewest", async () => {
    open(32, 3);
    const many = await joinWith("many", 2);
    const few = await joinWith("few", 1);
    await many.desire(20);
    await few.desire(20);
    expect([many.starts.length, few.starts.length]).toEqual([2, 0]);
    const quiet = join("quiet");
    await quiet.desire(1);
    expect(quiet.starts).toHaveLength(1);
    await many.comes();
    expect([many.starts.length, few.starts.length]).toEqual([1, 1]);
  });

  it("starts that fail, or take long, hold no other project up", async () => {
    open(32, 2);
    const broken = [join("broken-1"), join("broken-2"), join("broken-3")] as const;
    for (const pool of broken) {
      pool.queue = 100;
      await pool.desire(10);
    }
    // Two projects have the lanes for a while, because it is not known yet that their starts fail.
    expect(broken.map(({ starts }) => starts.length)).toEqual([1, 1, 0]);
    await clock.advance(5_000);
    expect(broken.map(({ starts }) => starts.length)).toEqual([1, 1, 1]);
    for (const pool of broken) await pool.fails();
    // Their next starts are in lanes of their own.
    expect(broken.map(({ starts }) => starts.length)).toEqual([1, 1, 0]);
    const quiet = join("quiet");
    await quiet.desire(1);
    expect(quiet.starts).toHaveLength(1);
    await quiet.comes();
    expect(quiet.workers).toBe(1);
    // A project whose starts hang has one start under way, not one in each place.
    await clock.advance(600_000);
    expect(broken.map(({ starts }) => starts.length)).toEqual([1, 1, 1]);
  });
});

describe("a project whose packages are being installed", () => {
  it("a project whose packages are being installed has one start under way, and keeps none from beginning", async () => {
    open(32, 2);
    const slow = join("slow");
    slow.hangs = true;
    await slow.desire(10);
    expect(slow.preparing).toHaveLength(1);
    const quiet = [join("quiet-1"), join("quiet-2")] as const;
    for (const pool of quiet) await pool.desire(1);
    expect(quiet.map(({ starts }) => starts.length)).toEqual([1, 1]);
    await clock.advance(600_000);
    expect(slow.preparing).toHaveLength(1);
  });
});

describe("while all places of workers are taken", () => {
  it("while all places are taken, no project starts more workers, and the project says why", async () => {
    open(3, 8);
    const many = await joinWith("many", 3, 3);
    await many.desire(5);
    expect(many.starts).toHaveLength(0);
    expect(many.place.reason()).toMatch(/^All 3 workers .+AIRLOCK_MAX_WORKERS.+ in use/);
    await many.desire(3);
    expect(many.place.reason()).toBe("");
  });

  it("while all places are taken, a project without a worker gets the place of an idle worker of the largest project", async () => {
    open(3, 8);
    const [many, other] = [await joinWith("many", 2, 1), await joinWith("other", 1, 1)];
    const quiet = join("quiet");
    quiet.queue = 1;
    await quiet.desire(1);
    expect([many.workers, other.workers, quiet.starts.length]).toEqual([1, 1, 1]);
  });

  it("while all places are taken, a project without a worker gets the place of a busy worker when its runs are over", async () => {
    open(3, 8);
    const many = await joinWith("many", 3, 3);
    many.queue = 50;
    const quiet = join("quiet");
    quiet.queue = 1;
    await quiet.desire(1);
    expect(quiet.starts).toHaveLength(0);
    await many.rests();
    expect([many.workers, quiet.starts.length]).toEqual([2, 1]);
    await quiet.comes();
    // The worker is not given back, because both projects have the worker that they need most.
    await clock.advance(60_000);
    expect([many.workers, quiet.workers]).toEqual([2, 1]);
  });

  it("while all places are taken, another project's only worker gives its place up at once when idle, else after a turn", async () => {
    open(1, 8);
    const first = await joinWith("first", 1, 0);
    const second = join("second");
    second.queue = 1;
    await second.desire(1);
    expect([first.workers, second.starts.length]).toEqual([0, 1]);
    await second.comes();
    second.busy = 1;
    second.queue = 50;
    // Without an execution it does not ask for its worker back.
    await clock.advance(60_000);
    expect(second.workers).toBe(1);
    first.queue = 1;
    await first.desire(1);
    await clock.advance(9_000);
    await second.rests();
    second.busy = 1;
    expect(first.starts).toHaveLength(0);
    await clock.advance(60_000);
    await second.rests();
    expect([first.starts.length, second.workers]).toEqual([1, 0]);
  });

  it("while all places are taken, a project gives an idle worker's place to a project that has two fewer, and no more", async () => {
    open(4, 8);
    const many = await joinWith("many", 3, 2);
    const other = await joinWith("other", 1, 1);
    other.queue = 5;
    await other.desire(4);
    expect([many.workers, other.starts.length]).toEqual([2, 1]);
    await other.comes();
    many.busy = 0;
    await clock.advance(60_000);
    expect([many.workers, other.workers]).toEqual([2, 2]);
  });
});

describe("a worker that has paused executions alone", () => {
  const joinAsking = async (name: string, workers: number) => {
    const pool = await joinWith(name, workers);
    pool.asking = workers;
    return pool;
  };
  /** A project that has an execution, and no worker. */
  const joinStarving = async (name: string) => {
    const pool = join(name);
    pool.queue = 1;
    await pool.desire(1);
    return pool;
  };

  it("a worker with paused executions only leaves its place to a project without a worker, and gets a free place again", async () => {
    open(2, 8);
    const many = await joinAsking("many", 2);
    const quiet = await joinStarving("quiet");
    expect([many.workers, many.pausedSince.length, quiet.starts.length]).toEqual([1, 1, 1]);
    await quiet.comes();
    quiet.queue = 0;
    expect(many.place.reason()).toContain("All 2 workers");
    await quiet.desire(0);
    quiet.workers = 0;
    quiet.place.want(0);
    await many.desire(2);
    expect([many.workers, many.pausedSince.length, many.starts.length]).toEqual([2, 0, 0]);
  });

  it("workers with paused executions only leave as many places as projects need, also when more are used than exist", async () => {
    open(8, 8);
    const all = [await joinAsking("a", 3), await joinAsking("b", 3), await joinAsking("c", 2)];
    // An earlier pool-manager may leave more workers than there are places.
    for (const pool of all) {
      pool.workers += 1;
      pool.asking += 1;
    }
    const quiet = [await joinStarving("quiet-1"), await joinStarving("quiet-2")];
    expect(quiet.map(({ starts }) => starts.length)).toEqual([1, 1]);
    expect(all.reduce((sum, { workers }) => sum + workers, 0)).toBe(6);
  });

  it("a worker with paused executions keeps its place beside a project that has no execution for it", async () => {
    open(3, 8);
    const many = await joinAsking("many", 3);
    const idle = join("idle");
    await idle.desire(1);
    expect([many.workers, idle.starts.length]).toEqual([3, 0]);
  });

  it("workers with paused executions only are ended beyond the number of places: the longest of the project with most", async () => {
    open(2, 8);
    const [many, few] = [await joinAsking("many", 1), await joinAsking("few", 1)];
    await clock.advance(1_000);
    few.pausedSince = [0];
    many.pausedSince = [500];
    const quiet = await joinStarving("quiet");
    expect([many.ended.length, few.ended.length, quiet.starts.length]).toEqual([1, 0, 1]);
    expect(many.ended[0]).toContain("no more than 2 workers (AIRLOCK_MAX_WORKERS)");
  });

  it("a worker with paused executions only comes back for a project whose other starts fail or hang", async () => {
    open(2, 8);
    const many = await joinAsking("many", 1);
    many.hangs = true;
    await many.desire(2);
    expect(many.preparing).toHaveLength(1);
    const quiet = await joinStarving("quiet");
    expect([many.workers, many.pausedSince.length, quiet.starts.length]).toEqual([0, 1, 1]);
    await quiet.comes();
    quiet.queue = 0;
    quiet.workers = 0;
    await quiet.desire(0);
    expect([many.workers, many.pausedSince.length]).toEqual([1, 0]);
  });
});

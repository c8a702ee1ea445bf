import { beforeEach, describe, expect, it } from "vitest";
import type { Lease } from "../../../services/pool-manager/pool/lease.ts";
import type { Pool } from "../../../services/pool-manager/pool/pool.ts";
import {
  acquire,
  clock,
  createWorker,
  granted,
  openPool,
  pool,
  poolForEachTest,
  started,
} from "../../harness/pool-harness.ts";
import { settle } from "../../support/fake-clock.ts";

poolForEachTest(undefined, 1);

let other: Pool;
beforeEach(() => {
  other = openPool("other");
});

const stopped = () => started.filter((worker) => worker.stopped).map(({ id }) => id);

/** An execution of the pool that waits for an answer. */
async function pause(executionId: string, of = pool): Promise<Lease> {
  const lease = acquire(executionId, 1, of);
  await settle();
  lease.park();
  await settle();
  return lease;
}

async function finish(executionId: string, of = pool): Promise<void> {
  const lease = acquire(executionId, 1, of);
  await settle();
  lease.release();
  await settle();
}

/** Asks for the lease's slot, and says whether it has it. */
function resume(lease: Lease): { isOn: boolean } {
  const state = { isOn: false };
  lease.resume().then(
    () => {
      state.isOn = true;
    },
    () => undefined,
  );
  return state;
}

describe("a worker that has paused executions alone", () => {
  it("a worker with paused executions only leaves its place to another project at once, and lives on", async () => {
    await pause("a");
    acquire("b", 1, other);
    await settle();
    expect(granted).toEqual(["a on w1", "b on w2"]);
    expect(stopped()).toEqual([]);
    expect(pool.view()).toMatchObject({ up: true, replicas: 1, idleWorkers: 0, paused: 1 });
  });

  it("a worker with paused executions only gets a place before its execution goes on, when the other worker is done", async () => {
    const paused = await pause("a");
    const running = acquire("b", 1, other);
    await settle();
    const resumed = resume(paused);
    await clock.advance(9_000);
    expect(resumed.isOn).toBe(false);
    await clock.advance(60_000);
    expect(resumed.isOn).toBe(false);
    running.release();
    await settle();
    expect([resumed.isOn, stopped()]).toEqual([true, ["w2"]]);
  });

  it("a worker with paused executions only takes an idle worker's place at once when its execution is answered", async () => {
    const paused = await pause("a");
    await finish("b", other);
    const resumed = resume(paused);
    await settle();
    expect([resumed.isOn, stopped()]).toEqual([true, ["w2"]]);
    acquire("c");
    paused.release();
    await settle();
    expect(granted).toEqual(["a on w1", "b on w2", "c on w1"]);
  });

  it("a worker with paused executions only serves again before another worker is started", async () => {
    await pause("a");
    const running = acquire("b", 1, other);
    await settle();
    acquire("c");
    await settle();
    running.release();
    await clock.advance(60_000);
    expect(granted).toEqual(["a on w1", "b on w2", "c on w1"]);
    expect(started).toHaveLength(2);
  });

  it("a worker with paused executions only ends when its last execution does", async () => {
    const paused = await pause("a");
    acquire("b", 1, other);
    await settle();
    paused.release();
    await settle();
    expect(stopped()).toEqual(["w1"]);
  });

  it("a worker with paused executions only goes on the same way for a router that takes the execution over", async () => {
    const paused = await pause("a");
    const running = acquire("b", 1, other);
    await settle();
    paused.abandon();
    const again = pool.attach("w1", "a");
    expect((await again.granted).id).toBe("w1");
    const resumed = resume(again);
    await settle();
    expect(resumed.isOn).toBe(false);
    running.release();
    await settle();
    expect(resumed.isOn).toBe(true);
  });

  it("a worker with paused executions only gets a place at once for an execution unknown to the pool, because it may run", async () => {
    const paused = await pause("a");
    acquire("b", 1, other);
    await settle();
    expect((await pool.attach("w1", "unknown").granted).id).toBe("w1");
    expect(pool.view()).toMatchObject({ running: 1, paused: 1 });
    paused.release();
    await settle();
    expect(stopped()).toEqual([]);
  });

  it("a worker with paused executions only is reported lost when it dies", async () => {
    const paused = await pause("a");
    acquire("b", 1, other);
    await settle();
    started[0]?.die("was killed");
    expect(await paused.lost).toBe("was killed");
    await expect(paused.resume()).rejects.toMatchObject({ code: "worker_lost" });
  });

  it("a worker with paused executions only is ended beyond their bound, and its executions are told why", async () => {
    const paused = await pause("a");
    await pause("b", other);
    const third = openPool("third");
    acquire("c", 1, third);
    await settle();
    expect(granted).toEqual(["a on w1", "b on w2", "c on w3"]);
    expect(await paused.lost).toContain("AIRLOCK_MAX_WORKERS");
    expect(stopped()).toEqual([]);
    await clock.advance(1_000);
    expect(stopped()).toEqual(["w1"]);
  });

  it("a worker with paused executions only stays while its project is down until they are over, and serves again after up", async () => {
    const paused = await pause("a");
    pool.down();
    await clock.advance(60_000);
    expect(stopped()).toEqual([]);
    acquire("b");
    await settle();
    expect(granted).toEqual(["a on w1", "b on w1"]);
    paused.release();
    await settle();
    expect(stopped()).toEqual([]);
  });

  it("a worker that is to be replaced takes its replacement's place to go on with its paused execution", async () => {
    const paused = await pause("a");
    pool.roll("the project file changed");
    await settle();
    const running = acquire("b");
    await settle();
    expect(granted).toEqual(["a on w1", "b on w2"]);
    const resumed = resume(paused);
    acquire("c");
    await settle();
    expect(resumed.isOn).toBe(false);
    running.release();
    await settle();
    expect(resumed.isOn).toBe(true);
    paused.release();
    await settle();
    expect(granted.at(-1)).toMatch(/^c on w[23]$/);
    expect(started[0]?.stopped).toBe(true);
  });

  it("a worker with paused executions only does not end with its pool before the grace of a close is over", async () => {
    const paused = await pause("a");
    await finish("b", other);
    const closed = pool.close(5_000);
    await clock.advance(4_000);
    const resumed = resume(paused);
    await settle();
    expect([resumed.isOn, stopped()]).toEqual([true, ["w2"]]);
    paused.release();
    await clock.advance(100);
    await closed;
    expect(stopped()).toEqual(["w1", "w2"]);
  });
});

describe("workers that ask to be replaced", () => {
  it("workers that ask to be replaced serve on while the pool already keeps its maximum for paused executions", async () => {
    const first = await pause("a");
    started[0]?.askToRetire("a run was killed");
    await settle();
    await pause("b");
    started[1]?.askToRetire("a run was killed");
    await settle();
    await finish("c");
    expect(granted).toEqual(["a on w1", "b on w2", "c on w2"]);
    first.release();
    await settle();
    expect(stopped()).toEqual(["w1"]);
    acquire("d");
    await settle();
    expect(granted.at(-1)).toBe("d on w3");
  });
});

describe("workers that were taken over", () => {
  it("workers that were taken over have no more places than there are, and each execution goes on", async () => {
    const kept = [createWorker("x"), createWorker("y")] as const;
    pool.take(1, "x", async () => kept[0]);
    other.take(1, "y", async () => kept[1]);
    await settle();
    const leases = [pool.attach("x", "a"), other.attach("y", "b")] as const;
    for (const lease of leases) lease.park();
    await clock.advance(3_000);
    expect(kept.map((worker) => worker.stopped)).toEqual([false, false]);
    expect(pool.view().idleWorkers + other.view().idleWorkers).toBe(1);
    for (const lease of leases) {
      const resumed = resume(lease);
      await clock.advance(20_000);
      expect(resumed.isOn).toBe(true);
      lease.release();
      await settle();
    }
  });
});

import { beforeEach, describe, expect, it } from "vitest";
import { AirlockError } from "#common/errors.ts";
import { TransientFailure } from "../../../services/pool-manager/drivers/transient-failure.ts";
import {
  acquire,
  clock,
  codeOf,
  granted,
  holdStarts,
  pool,
  poolForEachTest,
  started,
} from "../../harness/pool-harness.ts";
import { settle } from "../../support/fake-clock.ts";

let failNextStarts: number;
let startFailure: AirlockError;

beforeEach(() => {
  failNextStarts = 0;
  startFailure = new AirlockError("start_failed", "pandas is broken");
});
poolForEachTest(() => {
  if (failNextStarts === 0) return undefined;
  failNextStarts -= 1;
  return startFailure;
});

describe("a pool", () => {
  it("a pool says why it waits when a worker dies young", async () => {
    acquire("a").release();
    await settle();
    started[0]?.die("ran out of memory");
    await settle();
    expect(pool.view().detail).toBe(
      "A worker ran out of memory soon after its start; another is started in a while.",
    );
  });

  it("a pool that goes down while a worker starts does not look like one that starts", async () => {
    acquire("a").release();
    pool.down();
    expect(pool.view()).toMatchObject({ up: false, detail: "" });
  });

  it("a pool starts on first use with the configured replicas", async () => {
    acquire("a", 2);
    await settle();
    expect(granted).toEqual(["a on w1"]);
    expect(pool.view()).toMatchObject({ up: true, replicas: 2, idleWorkers: 1, running: 1 });
  });

  it("a pool serves first come, first served", async () => {
    const first = acquire("a");
    const leases = ["b", "c", "d"].map((id) => acquire(id));
    await settle();
    expect(leases.map((lease) => lease.position())).toEqual([1, 2, 3]);
    first.release();
    await settle();
    leases[0]?.release();
    await settle();
    expect(granted).toEqual(["a on w1", "b on w1", "c on w1"]);
  });

  it("a pool forgets a waiter that went away", async () => {
    const first = acquire("a");
    const second = acquire("b");
    acquire("c");
    await settle();
    second.release();
    first.release();
    await settle();
    expect(granted).toEqual(["a on w1", "c on w1"]);
  });

  it("a pool gives the slot of a paused execution to the next, and resumes it on its own worker", async () => {
    const paused = acquire("a");
    await settle();
    paused.park();
    const next = acquire("b");
    await settle();
    expect(granted).toEqual(["a on w1", "b on w1"]);
    expect(pool.view()).toMatchObject({ running: 1, paused: 1 });
    let resumed = false;
    const resuming = paused.resume().then(() => {
      resumed = true;
    });
    await settle();
    expect(resumed).toBe(false);
    next.release();
    await resuming;
    expect(pool.view()).toMatchObject({ running: 1, paused: 0 });
  });

  it("a pool lets an answered execution go before the queue", async () => {
    const paused = acquire("a");
    await settle();
    paused.park();
    const running = acquire("b");
    acquire("c");
    await settle();
    const resumed = paused.resume();
    running.release();
    await resumed;
    expect(granted).toEqual(["a on w1", "b on w1"]);
  });

  it("a pool replaces a worker that dies, and its execution is told", async () => {
    const lease = acquire("a");
    await settle();
    started[0]?.die("killed by SIGKILL");
    expect(await lease.lost).toBe("killed by SIGKILL");
    lease.release();
    await clock.advance(1_000);
    acquire("b");
    await settle();
    expect(granted).toEqual(["a on w1", "b on w2"]);
  });

  it("a pool backs off when workers die young", async () => {
    pool.up(1);
    for (let deaths = 0; deaths < 4; deaths++) {
      await settle();
      started.at(-1)?.die("crashed");
      await clock.advance(deaths === 0 ? 500 : 500 * 2 ** deaths);
    }
    await settle();
    expect(started.length).toBe(5);
    started.at(-1)?.die("crashed");
    await clock.advance(4_000);
    expect(started.length).toBe(5);
  });

  it("a pool tells every waiter why no worker starts, and is down afterwards", async () => {
    failNextStarts = 1;
    const leases = [acquire("a"), acquire("b")];
    expect(await Promise.all(leases.map((lease) => codeOf(lease.granted)))).toEqual([
      "start_failed",
      "start_failed",
    ]);
    expect(pool.view()).toMatchObject({ up: false, replicas: 0, detail: "pandas is broken" });
    acquire("c");
    await settle();
    expect(granted).toEqual(["c on w1"]);
  });

  it("a pool tries again when a start fails for a passing reason, and its queue waits", async () => {
    startFailure = new TransientFailure("the worker exited with status 139");
    failNextStarts = 3;
    acquire("a");
    await settle();
    expect(pool.view()).toMatchObject({
      up: true,
      queueDepth: 1,
      detail: "the worker exited with status 139",
    });
    await clock.advance(500 + 1_000 + 1_999);
    expect(granted).toEqual([]);
    await clock.advance(1);
    expect(granted).toEqual(["a on w1"]);
  });

  it("a pool gives up when passing failures do not end, says why, and tries as often for the next execution", async () => {
    startFailure = new TransientFailure("the worker exited with status 139");
    for (const execution of ["a", "b"]) {
      failNextStarts = 4;
      const lease = acquire(execution);
      await clock.advance(3_500);
      await expect(lease.granted).rejects.toMatchObject({
        code: "start_failed",
        message: startFailure.message,
      });
      expect(pool.view()).toMatchObject({ up: false, queueDepth: 0, detail: startFailure.message });
      expect(failNextStarts).toBe(0);
    }
    acquire("c");
    await settle();
    expect(granted).toEqual(["c on w1"]);
  });

  it("a pool refuses at once when the next start cannot succeed, also after a failure that could have passed", async () => {
    const definite = startFailure;
    startFailure = new TransientFailure("the worker cannot be reached");
    failNextStarts = 2;
    const lease = acquire("a");
    await settle();
    startFailure = definite;
    await clock.advance(500);
    await expect(lease.granted).rejects.toBe(definite);
    expect(pool.view()).toMatchObject({ up: false, detail: "pandas is broken" });
  });

  it("a pool starts no further attempt for a pool that is put down meanwhile", async () => {
    startFailure = new TransientFailure("the worker cannot be reached");
    failNextStarts = 1;
    pool.up(1);
    await settle();
    pool.down();
    await clock.advance(10_000);
    expect(started).toEqual([]);
    expect(pool.view()).toMatchObject({ up: false, replicas: 0 });
  });

  it("a pool finishes the executions that run and wait before it goes down", async () => {
    const running = acquire("a");
    const waiting = acquire("b");
    await settle();
    pool.down();
    expect(pool.view()).toMatchObject({ up: false, replicas: 0 });
    expect(started[0]?.stopped).toBe(false);
    running.release();
    await settle();
    expect(granted).toEqual(["a on w1", "b on w1"]);
    waiting.release();
    await settle();
    expect(started[0]?.stopped).toBe(true);
  });

  it("a pool starts again for an execution that comes after down", async () => {
    pool.up(2);
    await settle();
    pool.down();
    await settle();
    expect(started.map((worker) => worker.stopped)).toEqual([true, true]);
    acquire("a");
    await settle();
    expect(granted).toEqual(["a on w3"]);
  });

  it("a pool grows and shrinks, idle workers first", async () => {
    const lease = acquire("a");
    await settle();
    pool.up(3);
    await settle();
    expect(pool.view()).toMatchObject({ replicas: 3, idleWorkers: 2 });
    pool.up(1);
    await settle();
    expect(started.map((worker) => worker.stopped)).toEqual([false, true, true]);
    lease.release();
    await settle();
    expect(started[0]?.stopped).toBe(false);
  });

  it("a pool replaces a worker that asks for it, once its paused executions are over", async () => {
    const paused = acquire("a");
    await settle();
    paused.park();
    started[0]?.askToRetire("a script killed itself");
    await settle();
    acquire("b");
    await settle();
    expect(granted).toEqual(["a on w1", "b on w2"]);
    await paused.resume();
    expect(started[0]?.stopped).toBe(false);
    paused.release();
    await settle();
    expect(started[0]?.stopped).toBe(true);
  });

  it("a pool rolls onto new workers when its project changes", async () => {
    pool.up(2);
    await settle();
    pool.roll("the project file changed");
    await settle();
    expect(started.map((worker) => worker.stopped)).toEqual([true, true, false, false]);
    expect(pool.view()).toMatchObject({ replicas: 2, idleWorkers: 2 });
  });

  it("a pool that rolls while a worker starts gives nothing to that worker, and starts another at once", async () => {
    const goOn = holdStarts();
    acquire("a");
    await settle();
    pool.roll("the project file changed");
    await settle();
    expect(started).toHaveLength(0);
    goOn();
    await settle();
    expect(granted).toEqual(["a on w2"]);
    expect(started.map((worker) => worker.stopped)).toEqual([true, false]);
    expect(pool.view()).toMatchObject({ replicas: 1, running: 1 });
  });

  it("a pool that rolls while a worker starts does not refuse its queue when that start fails", async () => {
    const goOn = holdStarts();
    failNextStarts = 1;
    const lease = acquire("a");
    await settle();
    pool.roll("the project file changed");
    goOn();
    await settle();
    expect(await codeOf(lease.granted)).toBe("resolved");
    expect(pool.view().detail).toBe("");
  });

  it("a pool that closes tells waiters to come again, and stops its workers", async () => {
    const running = acquire("a");
    const waiting = acquire("b");
    await settle();
    const closed = pool.close(5_000);
    expect(await codeOf(waiting.granted)).toBe("unavailable");
    expect(await codeOf(acquire("c").granted)).toBe("unavailable");
    running.release();
    await clock.advance(100);
    await closed;
    expect(started[0]?.stopped).toBe(true);
  });

  it("a pool that closes ends executions that do not finish within the grace", async () => {
    acquire("a");
    await settle();
    const closed = pool.close(5_000);
    await clock.advance(4_900);
    expect(started[0]?.stopped).toBe(false);
    await clock.advance(200);
    await closed;
    expect(started[0]?.stopped).toBe(true);
  });
});

describe("scripts that ask and are answered at once", () => {
  it("scripts that ask and are answered at once take turns with the queue once its first execution has waited for a second", async () => {
    const [first, second] = [acquire("a"), acquire("b")];
    await settle();
    first.park();
    await settle();
    // Each is answered while the other runs, so that one of them always waits for the worker.
    void first.resume();
    acquire("c");
    second.park();
    await settle();
    void second.resume();
    first.park();
    await settle();
    expect(granted).toEqual(["a on w1", "b on w1"]);
    await clock.advance(1_100);
    void first.resume();
    second.park();
    await settle();
    expect(granted).toEqual(["a on w1", "b on w1", "c on w1"]);
  });
});

import { pino } from "pino";
import { beforeEach, describe, expect, it } from "vitest";
import { AirlockError } from "../../../services/common/errors.ts";
import { ATTACH_GRACE_MS } from "../../../services/common/restart.ts";
import type { Lease } from "../../../services/pool-manager/lease.ts";
import { PassingFailure } from "../../../services/pool-manager/passing-failure.ts";
import { createPool, type Pool } from "../../../services/pool-manager/pool.ts";
import type { Worker } from "../../../services/pool-manager/worker.ts";
import { createWorkerPlaces } from "../../../services/pool-manager/worker-places.ts";
import { createFakeClock, type FakeClock, settle } from "../../support/fake-clock.ts";

type TestWorker = Worker & {
  die(how: string): void;
  askToRetire(reason: string): void;
  stopped: boolean;
};

let clock: FakeClock;
let pool: Pool;
let started: TestWorker[];
let failNextStarts: number;
let startFailure: AirlockError;
let granted: string[];

beforeEach(() => {
  clock = createFakeClock();
  started = [];
  failNextStarts = 0;
  startFailure = new AirlockError("start_failed", "pandas is broken");
  granted = [];
  pool = createPool({
    project: "demo",
    clock,
    log: pino({ level: "silent" }),
    places: createWorkerPlaces({ maxWorkers: 32, maxStarts: 32 }, clock),
    startWorker: async () => {
      if (failNextStarts > 0) {
        failNextStarts -= 1;
        throw startFailure;
      }
      const worker = createWorker(`w${started.length + 1}`);
      started.push(worker);
      return worker;
    },
  });
});

function createWorker(id: string): TestWorker {
  const gone = Promise.withResolvers<string>();
  const retiring = Promise.withResolvers<string>();
  const worker: TestWorker = {
    id,
    address: `unix:/${id}`,
    posture: { layers: [], facts: [], packages: [] },
    secretsVersion: () => "v1",
    network: () => false,
    refresh: async () => undefined,
    retiring: retiring.promise,
    gone: gone.promise,
    stop: async () => {
      worker.stopped = true;
      gone.resolve("stopped");
    },
    die: gone.resolve,
    askToRetire: retiring.resolve,
    stopped: false,
  };
  return worker;
}

function acquire(executionId: string, defaultReplicas = 1): Lease {
  const lease = pool.acquire(defaultReplicas, executionId);
  lease.granted.then(
    (worker) => granted.push(`${executionId} on ${worker.id}`),
    () => undefined,
  );
  return lease;
}

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "resolved",
    (error: AirlockError) => error.code,
  );

describe("a pool that takes over workers", () => {
  it("is up with them, and starts what is missing", async () => {
    const kept = createWorker("kept");
    pool.take(2, "kept", async () => kept);
    await settle();
    expect(started.map(({ id }) => id)).toEqual(["w1"]);
    expect(pool.view()).toMatchObject({ up: true, replicas: 2, idleWorkers: 2 });
    acquire("a");
    acquire("b");
    await clock.advance(3_000);
    expect(granted).toEqual(["a on w1", "b on kept"]);
  });

  it("gives what they have to nobody else before what lives on them has come back", async () => {
    acquire("queued");
    pool.take(1, "kept", async () => createWorker("kept"));
    await clock.advance(500);
    expect((await pool.attach("kept", "a").granted).id).toBe("kept");
    await clock.advance(3_000);
    expect(granted).toEqual(["queued on w1"]);
    acquire("next");
    await clock.advance(3_000);
    expect(granted).toEqual(["queued on w1"]);
  });

  it("keeps one that is to be replaced until what lives on it has come back and ended", async () => {
    const kept = createWorker("kept");
    pool.take(1, "kept", async () => kept);
    kept.askToRetire("a run was killed");
    await settle();
    expect(kept.stopped).toBe(false);
    const lease = pool.attach("kept", "a");
    await clock.advance(3_000);
    expect(kept.stopped).toBe(false);
    lease.release();
    await settle();
    expect(kept.stopped).toBe(true);
  });

  it("replaces none of those that there were too many of", async () => {
    const [going, dying, staying] = [createWorker("x"), createWorker("y"), createWorker("z")];
    for (const worker of [going, dying, staying]) pool.take(1, worker.id, async () => worker);
    pool.take(1, "late", async () => {
      throw new AirlockError("start_failed", "it does not answer");
    });
    await settle();
    going.askToRetire("a run was killed");
    dying.die("was killed");
    await clock.advance(60_000);
    expect(started).toEqual([]);
    expect(pool.view()).toMatchObject({ replicas: 1, idleWorkers: 1 });
    staying.die("was killed");
    await clock.advance(60_000);
    expect(pool.view()).toMatchObject({ replicas: 1, idleWorkers: 1 });
    expect(started).toHaveLength(1);
  });

  it("ends one that is to be replaced when nothing comes back to it", async () => {
    const kept = createWorker("kept");
    pool.take(1, "kept", async () => kept);
    kept.askToRetire("a run was killed");
    await clock.advance(3_000);
    expect(kept.stopped).toBe(true);
  });

  it("keeps all of them when there were more than the project says", async () => {
    for (const id of ["x", "y", "z"]) pool.take(1, id, async () => createWorker(id));
    await settle();
    expect(started).toEqual([]);
    expect(pool.view()).toMatchObject({ up: true, replicas: 3, idleWorkers: 3 });
  });

  it("goes on without those that do not get ready", async () => {
    pool.take(1, "kept", async () => {
      throw new AirlockError("start_failed", "it does not answer");
    });
    await settle();
    expect(pool.view()).toMatchObject({ up: false, detail: "it does not answer" });
    acquire("a");
    await settle();
    expect(granted).toEqual(["a on w1"]);
  });
});

describe("a lease that broke", () => {
  it("keeps its worker for whoever takes the execution over", async () => {
    const lease = acquire("a");
    await settle();
    lease.abandon();
    acquire("b");
    await settle();
    expect(granted).toEqual(["a on w1"]);
    const again = pool.attach("w1", "a");
    expect((await again.granted).id).toBe("w1");
    await clock.advance(ATTACH_GRACE_MS);
    expect(granted).toEqual(["a on w1"]);
    again.release();
    await settle();
    expect(granted).toEqual(["a on w1", "b on w1"]);
  });

  it("frees its worker when nobody came in time", async () => {
    const lease = acquire("a");
    await settle();
    lease.abandon();
    acquire("b");
    await clock.advance(ATTACH_GRACE_MS - 1);
    await settle();
    expect(granted).toEqual(["a on w1"]);
    await clock.advance(1);
    await settle();
    expect(granted).toEqual(["a on w1", "b on w1"]);
  });

  it("has nothing more to say once another has taken over", async () => {
    const late = acquire("a");
    await settle();
    const again = pool.attach("w1", "a");
    acquire("b");
    late.park();
    late.release();
    late.abandon();
    await clock.advance(ATTACH_GRACE_MS);
    await settle();
    expect(granted).toEqual(["a on w1"]);
    await expect(codeOf(late.resume())).resolves.toBe("worker_lost");
    again.park();
    await settle();
    expect(granted).toEqual(["a on w1", "b on w1"]);
  });

  it("leaves no turn behind for which it waited", async () => {
    const first = acquire("a");
    await settle();
    first.park();
    const other = acquire("b");
    await settle();
    first.resume().catch(() => undefined);
    first.abandon();
    const again = pool.attach("w1", "a");
    again.park();
    other.release();
    const next = acquire("c");
    await settle();
    expect(granted).toEqual(["a on w1", "b on w1", "c on w1"]);
    const resumed = again.resume();
    next.release();
    await resumed;
    again.park();
    acquire("d");
    await settle();
    expect(granted).toContain("d on w1");
  });

  it("frees a place in the queue at once", async () => {
    const first = acquire("a");
    acquire("b").abandon();
    acquire("c");
    await settle();
    first.release();
    await settle();
    expect(granted).toEqual(["a on w1", "c on w1"]);
  });

  it("is taken over on a worker that is itself being taken over, and on no other", async () => {
    const coming = Promise.withResolvers<Worker>();
    pool.take(1, "w1", () => coming.promise);
    const here = pool.attach("w1", "a");
    // Whoever waits for a worker that is gone would come when the next one has its address.
    await expect(codeOf(pool.attach("w7", "b").granted)).resolves.toBe("worker_lost");
    coming.resolve(createWorker("w1"));
    await settle();
    expect((await here.granted).id).toBe("w1");
    expect(pool.view()).toMatchObject({ running: 1, idleWorkers: 0 });
  });
});

describe("a pool", () => {
  it("says why it waits when a worker dies young", async () => {
    acquire("a").release();
    await settle();
    started[0]?.die("ran out of memory");
    await settle();
    expect(pool.view().detail).toBe(
      "A worker ran out of memory soon after its start; another is started in a while.",
    );
  });

  it("starts on first use with the configured replicas", async () => {
    acquire("a", 2);
    await settle();
    expect(granted).toEqual(["a on w1"]);
    expect(pool.view()).toMatchObject({ up: true, replicas: 2, idleWorkers: 1, running: 1 });
  });

  it("serves first come, first served", async () => {
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

  it("forgets a waiter that went away", async () => {
    const first = acquire("a");
    const second = acquire("b");
    acquire("c");
    await settle();
    second.release();
    first.release();
    await settle();
    expect(granted).toEqual(["a on w1", "c on w1"]);
  });

  it("gives the slot of a paused execution to the next, and resumes it on its own worker", async () => {
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

  it("lets an answered execution go before the queue", async () => {
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

  it("replaces a worker that dies, and tells who was on it", async () => {
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

  it("backs off when workers die young", async () => {
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

  it("tells every waiter why no worker starts, and is down afterwards", async () => {
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

  it("tries again when a start fails by bad luck, and its queue waits", async () => {
    startFailure = new PassingFailure("the worker exited with status 139");
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

  it("gives up when bad luck does not end, says why, and tries as often for the next", async () => {
    startFailure = new PassingFailure("the worker exited with status 139");
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

  it("refuses at once when the next attempt cannot go well, also after one that could have", async () => {
    const definite = startFailure;
    startFailure = new PassingFailure("the worker cannot be reached");
    failNextStarts = 2;
    const lease = acquire("a");
    await settle();
    startFailure = definite;
    await clock.advance(500);
    await expect(lease.granted).rejects.toBe(definite);
    expect(pool.view()).toMatchObject({ up: false, detail: "pandas is broken" });
  });

  it("starts no further attempt for a pool that is put down meanwhile", async () => {
    startFailure = new PassingFailure("the worker cannot be reached");
    failNextStarts = 1;
    pool.up(1);
    await settle();
    pool.down();
    await clock.advance(10_000);
    expect(started).toEqual([]);
    expect(pool.view()).toMatchObject({ up: false, replicas: 0 });
  });

  it("finishes what runs and what waits before it goes down", async () => {
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

  it("starts again for an execution that comes after down", async () => {
    pool.up(2);
    await settle();
    pool.down();
    await settle();
    expect(started.map((worker) => worker.stopped)).toEqual([true, true]);
    acquire("a");
    await settle();
    expect(granted).toEqual(["a on w3"]);
  });

  it("grows and shrinks, idle workers first", async () => {
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

  it("replaces a worker that asks for it, once its paused executions are over", async () => {
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

  it("rolls onto new workers when its project changes", async () => {
    pool.up(2);
    await settle();
    pool.roll("the project file changed");
    await settle();
    expect(started.map((worker) => worker.stopped)).toEqual([true, true, false, false]);
    expect(pool.view()).toMatchObject({ replicas: 2, idleWorkers: 2 });
  });

  it("closes: waiters are told to come again, workers stop", async () => {
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

  it("ends what does not finish within the grace of a close", async () => {
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

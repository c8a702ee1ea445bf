import { describe, expect, it } from "vitest";
import { AirlockError } from "#common/errors.ts";
import { ATTACH_GRACE_MS } from "#common/service/grace-periods.ts";
import type { Worker } from "../../../services/pool-manager/worker/worker.ts";
import {
  acquire,
  clock,
  codeOf,
  createWorker,
  granted,
  openPool,
  pool,
  poolForEachTest,
  started,
} from "../../harness/pool-harness.ts";
import { settle } from "../../support/fake-clock.ts";

poolForEachTest();

describe("a pool that takes over workers", () => {
  it("a pool that takes over workers is up with them, and starts the missing ones", async () => {
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

  it("a pool that takes over workers grants them to no other execution before their own have come back", async () => {
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

  it("a worker whose project changes while it is taken over keeps its executions, and gets no other", async () => {
    const kept = createWorker("kept", [{ executionId: "running", paused: false, graceMs: 60_000 }]);
    const held = Promise.withResolvers<Worker>();
    pool.take(1, "kept", () => held.promise);
    pool.roll("the project file changed");
    held.resolve(kept);
    const running = pool.attach("kept", "running");
    expect((await running.granted).id).toBe("kept");
    acquire("next");
    await clock.advance(5_000);
    expect(granted).toEqual(["next on w1"]);
    expect(kept.stopped).toBe(false);
    running.release();
    await settle();
    expect(kept.stopped).toBe(true);
  });

  it.each(["parks", "ends"])(
    "a worker that was taken over belongs to its running execution once a paused one that came back first %s",
    async (how) => {
      pool.take(1, "kept", async () => createWorker("kept"));
      const paused = pool.attach("kept", "paused");
      const running = pool.attach("kept", "running");
      acquire("next");
      await clock.advance(500);
      if (how === "parks") paused.park();
      else paused.release();
      await clock.advance(5_000);
      expect(granted).toEqual([]);
      expect(pool.view()).toMatchObject({ running: 1, paused: how === "parks" ? 1 : 0, idleWorkers: 0 });
      const resumed = how === "parks" ? paused.resume() : undefined;
      let isResumed = false;
      void resumed?.then(() => {
        isResumed = true;
      });
      await settle();
      expect(isResumed).toBe(false);
      running.park();
      await settle();
      expect(isResumed).toBe(how === "parks");
      paused.release();
      await settle();
      expect(granted).toEqual(["next on kept"]);
    },
  );

  it("a worker that was taken over stays when two executions have come back to it and one ends", async () => {
    const kept = createWorker("kept");
    pool.take(1, "kept", async () => kept);
    const [first, second] = [pool.attach("kept", "first"), pool.attach("kept", "second")];
    await clock.advance(5_000);
    first.release();
    second.park();
    await settle();
    expect(pool.view()).toMatchObject({ running: 0, paused: 1, idleWorkers: 1 });
    await second.resume();
    expect(pool.view()).toMatchObject({ running: 1, paused: 0 });
  });

  it("a pool that takes over workers knows their executions before the routers come", async () => {
    const held = [
      { executionId: "paused", paused: true, graceMs: 900_000 },
      { executionId: "running", paused: false, graceMs: 60_000 },
    ];
    const kept = createWorker("kept", held);
    pool.take(1, "kept", async () => kept);
    // This one's router has come before the worker.
    const early = pool.attach("kept", "paused");
    await settle();
    acquire("next");
    expect((await early.granted).id).toBe("kept");
    expect(pool.view()).toMatchObject({ running: 1, paused: 1, idleWorkers: 0 });
    await clock.advance(50_000);
    const running = pool.attach("kept", "running");
    expect((await running.granted).id).toBe("kept");
    await clock.advance(20_000);
    expect(granted).toEqual([]);
    running.release();
    await settle();
    expect(granted).toEqual(["next on kept"]);
  });

  it("a pool keeps an execution that no router comes for as long as its worker does", async () => {
    const kept = createWorker("kept", [
      { executionId: "running", paused: false, graceMs: 60_000 },
      { executionId: "paused", paused: true, graceMs: 900_000 },
    ]);
    pool.take(1, "kept", async () => kept);
    await settle();
    kept.askToRetire("a run was killed");
    await clock.advance(59_000);
    expect(pool.view()).toMatchObject({ running: 1, paused: 1 });
    await clock.advance(2_000);
    expect(pool.view()).toMatchObject({ running: 0, paused: 1 });
    expect(kept.stopped).toBe(false);
    await clock.advance(900_000);
    expect(kept.stopped).toBe(true);
  });

  it("a pool keeps an abandoned paused execution for as long as it may be answered, and a running one for a minute", async () => {
    const [paused, running] = [acquire("paused"), acquire("running")];
    await settle();
    paused.park();
    await settle();
    expect(granted).toEqual(["paused on w1", "running on w1"]);
    paused.abandon(900_000);
    running.abandon(900_000);
    await clock.advance(ATTACH_GRACE_MS + 1_000);
    expect(pool.view()).toMatchObject({ running: 0, paused: 1 });
    expect((await pool.attach("w1", "paused").granted).id).toBe("w1");
    await clock.advance(1_000_000);
    expect(pool.view()).toMatchObject({ paused: 1 });
  });

  it("a pool that stops reports no execution lost that it leaves to the next pool-manager", async () => {
    const leaving = openPool("demo", true);
    leaving.take(2, "kept", async () => createWorker("kept"));
    leaving.take(2, "busy", async () => createWorker("busy"));
    const paused = leaving.attach("kept", "paused");
    const running = leaving.attach("busy", "running");
    await clock.advance(5_000);
    paused.park();
    const closed = leaving.close(1_000);
    await settle();
    const asked = async () => [
      await codeOf(paused.resume()),
      await codeOf(leaving.attach("kept", "paused").granted),
      await codeOf(leaving.attach("busy", "running").granted),
      await codeOf(leaving.attach("unknown", "other").granted),
    ];
    // The paused one is left at once, the running one when its time is over.
    expect(await asked()).toEqual(["unavailable", "unavailable", "resolved", "unavailable"]);
    await clock.advance(2_000);
    expect(await codeOf(running.resume())).toBe("unavailable");
    expect(await asked()).toEqual(Array(4).fill("unavailable"));
    await closed;
    expect(await codeOf(leaving.acquire(1, "new").granted)).toBe("unavailable");
  });

  it("a worker that was taken over and is to be replaced stays until its executions have come back and ended", async () => {
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

  it("a pool that took over too many workers replaces none of the surplus", async () => {
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

  it("a worker that was taken over and is to be replaced ends when no execution comes back to it", async () => {
    const kept = createWorker("kept");
    pool.take(1, "kept", async () => kept);
    kept.askToRetire("a run was killed");
    await clock.advance(3_000);
    expect(kept.stopped).toBe(true);
  });

  it("a pool that takes over workers keeps all of them when they are more than the project says", async () => {
    for (const id of ["x", "y", "z"]) pool.take(1, id, async () => createWorker(id));
    await settle();
    expect(started).toEqual([]);
    expect(pool.view()).toMatchObject({ up: true, replicas: 3, idleWorkers: 3 });
  });

  it("a pool that takes over workers goes on without those that do not get ready", async () => {
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
  it("a lease that broke keeps its worker for the router that takes the execution over", async () => {
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

  it("a lease that broke frees its worker when no router came in time", async () => {
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

  it("a lease that broke has no effect any more once another router has taken over", async () => {
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

  it("a lease that broke while it waited for its turn leaves no turn behind", async () => {
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

  it("a lease that broke frees a place in the queue at once", async () => {
    const first = acquire("a");
    acquire("b").abandon();
    acquire("c");
    await settle();
    first.release();
    await settle();
    expect(granted).toEqual(["a on w1", "c on w1"]);
  });

  it("a lease that broke is taken over on a worker that is itself being taken over, and on no other", async () => {
    const coming = Promise.withResolvers<Worker>();
    pool.take(1, "w1", () => coming.promise);
    const here = pool.attach("w1", "a");
    // A lease that waited for a worker that is gone would get the next worker with its address.
    await expect(codeOf(pool.attach("w7", "b").granted)).resolves.toBe("worker_lost");
    coming.resolve(createWorker("w1"));
    await settle();
    expect((await here.granted).id).toBe("w1");
    expect(pool.view()).toMatchObject({ running: 1, idleWorkers: 0 });
  });
});

import {
  createWorkerPlaces,
  type Place,
  type WorkerPlaces,
} from "../../services/pool-manager/pool/places.ts";
import { createFakeClock, settle } from "./fake-clock.ts";

/** A pool whose starts a test ends as it likes. */
export type TestPool = {
  readonly name: string;
  readonly place: Place;
  /** Workers that have come. */
  workers: number;
  busy: number;
  queue: number;
  /** How many of its workers that are not busy have paused executions. */
  asking: number;
  /** Since when each worker without a place is kept for its paused executions, the oldest first. */
  pausedSince: number[];
  /** Workers without a place that were ended. */
  readonly ended: string[];
  /** Its workers that have begun and are not there yet. */
  readonly starts: PromiseWithResolvers<boolean>[];
  /** Starts that have not come so far. */
  preparing: PromiseWithResolvers<boolean>[];
  /** Starts do not come to their worker: they are about packages. */
  hangs: boolean;
  /** The packages of its starts so far are there. */
  packages: PromiseWithResolvers<void>;
  /** Gives its starts up. */
  readonly abort: AbortController;
  /** How many it wants in all. */
  desire(replicas: number): Promise<void>;
  /** Ends its oldest start. */
  comes(): Promise<void>;
  fails(): Promise<void>;
  /** A busy worker has nothing to do any more. */
  rests(): Promise<void>;
};

/** The places of workers, and pools that share them, with a clock of their own. `open` comes first. */
export function createTestPools() {
  const clock = createFakeClock();
  let places: WorkerPlaces;
  const open = (maxWorkers: number, maxStarts: number) => {
    places = createWorkerPlaces({ maxWorkers, maxStarts }, clock);
  };

  function join(name: string): TestPool {
    let desired = 0;
    let retiring = 0;
    const count = () => pool.workers + pool.starts.length + pool.preparing.length;
    const reconcile = () => pool.place.want(desired - (count() - retiring));
    const over = async (came: boolean) => {
      const start = pool.starts.shift() ?? pool.preparing.shift();
      if (came) pool.workers += 1;
      start?.resolve(came);
      await settle();
      reconcile();
      await settle();
    };
    const pool: TestPool = {
      name,
      workers: 0,
      busy: 0,
      queue: 0,
      asking: 0,
      pausedSince: [],
      ended: [],
      starts: [],
      preparing: [],
      hangs: false,
      packages: Promise.withResolvers(),
      abort: new AbortController(),
      place: places.join({
        count,
        queueDepth: () => pool.queue,
        async start(ready) {
          const start = Promise.withResolvers<boolean>();
          pool.preparing.push(start);
          if (pool.hangs) await Promise.race([pool.packages.promise, start.promise]);
          try {
            if (pool.preparing.includes(start)) await ready(pool.abort.signal);
          } catch {
            start.resolve(false);
          }
          if (!pool.preparing.includes(start)) return await start.promise;
          pool.preparing = pool.preparing.filter((other) => other !== start);
          if (!pool.abort.signal.aborted) pool.starts.push(start);
          return await start.promise;
        },
        canBringBack: () => pool.pausedSince.length > 0,
        bringBack() {
          pool.pausedSince.shift();
          pool.workers += 1;
          pool.asking += 1;
          reconcile();
        },
        paused: () => ({ count: pool.pausedSince.length, sinceMs: pool.pausedSince[0] ?? 0 }),
        endPaused(how) {
          pool.pausedSince.shift();
          pool.ended.push(how);
          reconcile();
        },
        giveUp(what) {
          if (pool.workers - retiring === 0) return false;
          if (pool.busy + pool.asking < pool.workers) pool.workers -= 1;
          else if (pool.busy < pool.workers && what !== "idle") {
            pool.workers -= 1;
            pool.asking -= 1;
            pool.pausedSince.push(clock.monotonicMs());
          } else if (what === "busy") retiring += 1;
          else return false;
          reconcile();
          return true;
        },
      }),
      async desire(replicas) {
        desired = replicas;
        reconcile();
        await settle();
      },
      comes: () => over(true),
      fails: () => over(false),
      async rests() {
        pool.busy -= 1;
        if (retiring > 0) {
          retiring -= 1;
          pool.workers -= 1;
        }
        reconcile();
        await settle();
      },
    };
    return pool;
  }

  /** A pool that has all the workers that it wants. */
  async function joinWith(name: string, workers: number, busy = 0): Promise<TestPool> {
    const pool = join(name);
    await pool.desire(workers);
    while (pool.starts.length > 0) await pool.comes();
    pool.busy = busy;
    return pool;
  }

  return { clock, open, join, joinWith };
}

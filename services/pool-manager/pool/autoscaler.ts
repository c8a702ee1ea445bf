import type { Clock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import type { Pool } from "./pool.ts";
import { ScalingPolicy, type ScalingRange } from "./scaling-policy.ts";

const LOOK_EVERY_MS = 500;

export type Autoscaler = {
  /** Reports how long an execution waited in the queue for its worker, in milliseconds. */
  waited(waitedMs: number): void;
  stop(): void;
};

/**
 * Changes the number of a pool's workers to suit its queue, twice a second, while `range` returns a range.
 * `range` returns undefined when the project file gives a fixed number. A pool that is down stays down.
 */
export function startAutoscaler(parts: {
  readonly project: string;
  readonly pool: Pool;
  readonly range: () => ScalingRange | undefined;
  readonly clock: Clock;
  readonly log: Log;
}): Autoscaler {
  const { project, pool, clock, log } = parts;
  let policy = new ScalingPolicy();
  const look = () => {
    cancel = clock.after(LOOK_EVERY_MS, look);
    const range = parts.range();
    const { up, replicas, idleWorkers, queueDepth, longestWaitMs } = pool.view();
    if (!range || !up) {
      policy = new ScalingPolicy();
      return;
    }
    const atMs = clock.monotonicMs();
    const wanted = policy.decide({ atMs, replicas, idleWorkers, queueDepth, longestWaitMs }, range);
    if (wanted === replicas) return;
    log.info({ project, from: replicas, to: wanted, queueDepth }, "pool scales");
    pool.resize(wanted);
  };
  let cancel = clock.after(LOOK_EVERY_MS, look);
  return {
    waited: (waitedMs) => policy.waited(clock.monotonicMs(), waitedMs),
    stop: () => cancel(),
  };
}

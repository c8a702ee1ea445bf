import type { WorkerConnections } from "#common/grpc/worker-connections.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import type { PoolManagerServiceClient } from "#proto/pool_manager.ts";
import { openLease } from "../peers/lease.ts";
import type { ExecutionStore } from "../store/store.ts";
import { stopRun } from "./run-stream.ts";

/**
 * Ends the run of a cancelled execution that another router started and does not follow any more. Resolves
 * within 3 s, whether or not the run was ended. Never rejects.
 */
export type StopElsewhere = (executionId: string, project: string) => Promise<void>;

const LONGEST_MS = 3_000;

export function createStopElsewhere(parts: {
  readonly store: Pick<ExecutionStore, "getRun">;
  readonly workers: WorkerConnections;
  readonly poolManager: PoolManagerServiceClient;
  readonly clock: Clock;
  readonly log: Log;
}): StopElsewhere {
  const { store, workers, poolManager, clock, log } = parts;
  const stop = async (executionId: string, project: string) => {
    const run = await store.getRun(executionId);
    if (!run) return;
    const { workerId, workerAddress } = run.grant;
    await stopRun(workers.to(workerAddress), { executionId, epoch: run.epoch, workerId });
    // A lease of the worker is acquired and released at once, because the pool-manager would otherwise keep
    // the slot for a router that takes the execution over.
    const lease = openLease(poolManager, { project, executionId, workerId }, clock);
    try {
      await Promise.race([lease.granted(), lease.lost]);
    } finally {
      lease.release();
    }
  };
  return async (executionId, project) => {
    const late = Promise.withResolvers<void>();
    const cancelTimer = clock.after(LONGEST_MS, late.resolve);
    const stopped = stop(executionId, project).catch((error: unknown) =>
      log.warn({ err: error, executionId, project }, "a cancelled run could not be told to stop"),
    );
    await Promise.race([stopped, late.promise]);
    cancelTimer();
  };
}

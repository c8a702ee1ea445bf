import type { WorkerConnections } from "#common/grpc/worker-connections.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import type { EgressServiceClient } from "#proto/egress.ts";
import type { PoolManagerServiceClient } from "#proto/pool_manager.ts";
import type { SanitizerServiceClient } from "#proto/sanitizer.ts";
import type { Grant, OutputPiece } from "../execution.ts";
import type { LeaseSession } from "../peers/lease.ts";
import type { RouteSession } from "../peers/route.ts";
import type { Storage } from "../storage/storage.ts";
import type { ExecutionStore } from "../store/store.ts";
import type { Interruption } from "./interruption.ts";
import type { OutputLog } from "./output-log.ts";
import type { ResponseTimer } from "./response-timer.ts";
import type { RunEntry } from "./run-stream.ts";
import type { RunningTime } from "./running-time.ts";
import type { Stopwatch } from "./stopwatch.ts";

export type RunParts = {
  readonly store: ExecutionStore;
  readonly storage: Pick<Storage, "mayStart" | "awaitStart">;
  readonly poolManager: PoolManagerServiceClient;
  readonly sanitizer: SanitizerServiceClient;
  readonly egress: EgressServiceClient;
  readonly workers: WorkerConnections;
  readonly clock: Clock;
  readonly log: Log;
  /** Whether the next start of a single router takes over the runs of this one. False unless given. */
  readonly leavesRuns?: boolean | undefined;
};

/**
 * The two steps of a shutdown: `draining` starts nothing new and hands pauses over; `over` ends the runs that are
 * left.
 */
export type Shutdown = { readonly draining: AbortSignal; readonly over: AbortSignal };

/**
 * One execution that this router runs. Its lease and route are put here when they are opened, so that they are closed
 * at its end.
 */
export type OpenRun = {
  readonly executionId: string;
  readonly project: string;
  readonly interruption: Interruption;
  readonly output: OutputLog;
  /** Set once the script has started here. */
  startedAtMs?: number;
  lease?: LeaseSession;
  route?: RouteSession | undefined;
};

/** Stored output and running time of an execution that another router had started. */
export type Before = OutputPiece & { readonly ranMs: number };

/**
 * Where an execution runs, and the first message to its worker. `orStart` is sent instead when the worker has never
 * had the run.
 */
export type RunPlan = {
  readonly grant: Grant;
  readonly timeoutMs: number;
  /** How much later than the run its script may begin. */
  readonly beginningMs: number;
  readonly entry: RunEntry;
  readonly orStart?: RunEntry | undefined;
};

/** An open run that has its worker. */
export type LeasedRun = OpenRun & {
  readonly lease: LeaseSession;
  readonly stopwatch: Stopwatch;
  readonly responseTimer: ResponseTimer;
  readonly runningTime: RunningTime;
};

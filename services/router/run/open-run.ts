import type { WorkerConnections } from "#common/grpc/worker-connections.ts";
import type { Submitter } from "#common/identity/ownership.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import type { EgressServiceClient } from "#proto/egress.ts";
import type { PoolManagerServiceClient } from "#proto/pool_manager.ts";
import type { SanitizerServiceClient } from "#proto/sanitizer.ts";
import type { Grant, OutputPiece, Redaction } from "../execution.ts";
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

/**
 * The submitters of executions that this router accepted and that are pending or running as far as it knows:
 * neither paused nor ended. By the execution's id. A long poll of such an execution waits for a change without
 * reading the store first.
 */
export type UnderWay = Map<string, Submitter>;

export type RunParts = {
  readonly store: ExecutionStore;
  readonly storage: Pick<Storage, "mayStart" | "awaitStart">;
  readonly poolManager: PoolManagerServiceClient;
  readonly sanitizer: SanitizerServiceClient;
  readonly egress: EgressServiceClient;
  readonly workers: WorkerConnections;
  readonly underWay: UnderWay;
  readonly clock: Clock;
  readonly log: Log;
  /**
   * Whether a stopping router leaves its runs on their workers, so that the next router takes them over.
   * Meant for a single router whose workers outlive it. Undefined means false: the stopping router ends its
   * runs.
   */
  readonly leavesRuns?: boolean | undefined;
};

/** The two steps of a router's shutdown. */
export type Shutdown = {
  /**
   * Aborts first. The router then starts no runs, and stops following paused runs: they are handed over, or end
   * as worker_lost when no other router can continue them.
   */
  readonly draining: AbortSignal;
  /** Aborts when the grace period is over. The same then happens to runs whose scripts still run. */
  readonly over: AbortSignal;
};

/**
 * One execution that this router runs. Its lease and its network route are stored here when they are opened,
 * so that they are closed when the run ends.
 */
export type OpenRun = {
  readonly executionId: string;
  readonly project: string;
  readonly interruption: Interruption;
  readonly output: OutputLog;
  /**
   * When this router started the script, in epoch milliseconds; undefined until then, and for a run that this
   * router took over.
   */
  startedAtMs?: number;
  /** The secrets that were redacted from the run and are not stored yet. */
  readonly redactions: Redaction[];
  lease?: LeaseSession;
  route?: RouteSession | undefined;
};

/**
 * The stored output of an execution that another router had started. `ranMs`: milliseconds that its script
 * has run so far, pauses left out.
 */
export type Before = OutputPiece & { readonly ranMs: number };

/** Where an execution runs, and how this router begins to follow its run. */
export type RunPlan = {
  readonly grant: Grant;
  /** Milliseconds that the script may run, pauses left out. */
  readonly timeoutMs: number;
  /**
   * How many milliseconds after the start of the run its script may begin, at most; 0 for a run that was
   * taken over.
   */
  readonly beginningMs: number;
  /** The first message to the worker. */
  readonly entry: RunEntry;
  /**
   * The start message that is sent when the worker turns out never to have had the run. Undefined: `entry` is
   * sent again if it is a start, otherwise the execution ends as worker_lost.
   */
  readonly orStart?: RunEntry | undefined;
};

/** A run whose worker was granted, with the clocks that measure the run. */
export type LeasedRun = OpenRun & {
  readonly lease: LeaseSession;
  readonly stopwatch: Stopwatch;
  readonly responseTimer: ResponseTimer;
  readonly runningTime: RunningTime;
};

import type { Project, ProjectProblem } from "#common/projects/file.ts";
import type { Worker } from "../worker/worker.ts";
import { pausedSlots } from "./paused-slots.ts";
import type { Slot } from "./slot.ts";

/** The state of a pool, for operators. */
export type PoolView = {
  readonly up: boolean;
  readonly replicas: number;
  readonly idleWorkers: number;
  /**
   * Workers without a place (the right to be one of AIRLOCK_MAX_WORKERS), kept for their paused executions
   * alone.
   */
  readonly pausedWorkers: number;
  readonly queueDepth: number;
  /** Milliseconds that the first execution in the queue has waited; 0 without a queue. */
  readonly longestWaitMs: number;
  /** The number of executions that hold a worker's slot. */
  readonly running: number;
  /**
   * The number of executions on workers that hold no slot, because they wait for a response or for their
   * slot.
   */
  readonly paused: number;
  readonly posture: Worker["posture"];
  /** The pool's present step, or its last problem; empty when all is well. */
  readonly detail: string;
};

/**
 * A project of the projects directory, with its pool. The pool is undefined until the project is first used.
 */
export type ProjectState = { readonly entry: Project | ProjectProblem; readonly pool: PoolView | undefined };

/** Summarizes a pool's workers and queue for operators. */
export function viewPool(pool: {
  readonly slots: ReadonlySet<Slot>;
  readonly queueDepth: number;
  readonly longestWaitMs: number;
  readonly desired: number;
  readonly draining: boolean;
  readonly posture: Worker["posture"];
  readonly detail: string;
}): PoolView {
  const slots = [...pool.slots];
  const up = pool.desired > 0 && !pool.draining;
  const running = slots.filter((slot) => slot.holder).length;
  const claims = slots.reduce((sum, slot) => sum + slot.claims.size, 0);
  return {
    up,
    replicas: up ? pool.desired : 0,
    idleWorkers: slots.filter((slot) => slot.state.kind === "serving" && !slot.holder).length,
    pausedWorkers: pausedSlots(slots).length,
    queueDepth: pool.queueDepth,
    longestWaitMs: pool.longestWaitMs,
    running,
    paused: claims - running,
    posture: pool.posture,
    detail: pool.detail,
  };
}

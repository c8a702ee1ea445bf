import type { Project, ProjectProblem } from "#common/projects/file.ts";
import type { Worker } from "../worker/worker.ts";
import { pausedSlots } from "./paused-slots.ts";
import type { Slot } from "./slot.ts";

/** What a pool is doing, for operators. */
export type PoolView = {
  readonly up: boolean;
  readonly replicas: number;
  readonly idleWorkers: number;
  /** Workers without a place, kept for their paused executions alone. */
  readonly pausedWorkers: number;
  readonly queueDepth: number;
  /** How long the first in the queue has waited; 0 without a queue. */
  readonly longestWaitMs: number;
  readonly running: number;
  readonly paused: number;
  readonly posture: Worker["posture"];
  /** What it is busy with, or why it last failed. */
  readonly detail: string;
};

/** A project of the directory, and its pool once it has had one. */
export type ProjectState = { readonly entry: Project | ProjectProblem; readonly pool: PoolView | undefined };

/** The pool's state in an operator's terms. */
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
    idleWorkers: slots.filter((slot) => slot.serving && !slot.holder).length,
    pausedWorkers: pausedSlots(slots).length,
    queueDepth: pool.queueDepth,
    longestWaitMs: pool.longestWaitMs,
    running,
    paused: claims - running,
    posture: pool.posture,
    detail: pool.detail,
  };
}

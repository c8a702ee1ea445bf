/** The setting `replicas: {min, max, target_wait_ms}` of a project. */
export type ScalingRange = { readonly min: number; readonly max: number; readonly targetWaitMs: number };

/** The state of a pool at the moment `atMs`, in milliseconds of the monotonic clock. */
export type Observation = {
  readonly atMs: number;
  /** The number of workers that the pool is to have. */
  readonly replicas: number;
  /** The number of workers that are ready and have no execution. */
  readonly idleWorkers: number;
  /** The number of executions that wait for a worker. */
  readonly queueDepth: number;
  /** Milliseconds that the first execution in the queue has waited; 0 without a queue. */
  readonly longestWaitMs: number;
};

/**
 * Milliseconds after a change of the number of workers before which none is removed, so that the number does
 * not go up and down all the time.
 */
export const COOL_DOWN_MS = 30_000;
// Milliseconds after a change of the number of workers before which none is added, because an addition takes
// effect only once its workers have started.
const SETTLE_MS = 3_000;
// Milliseconds that a wait counts for the decision.
const WAITS_COUNT_FOR_MS = 10_000;
const MAX_WAITS = 10_000;

/** Decides how many workers a pool should have, from how long executions wait for one. */
export class ScalingPolicy {
  readonly #waits: { readonly atMs: number; readonly waitedMs: number }[] = [];
  readonly #idle: { readonly atMs: number; readonly workers: number }[] = [];
  #changedAtMs = Number.NEGATIVE_INFINITY;
  #watchedSinceMs: number | undefined;

  /**
   * Reports how long an execution waited in the queue for its worker, in milliseconds. `atMs`: when it got
   * the worker.
   */
  waited(atMs: number, waitedMs: number): void {
    if (this.#waits.length === MAX_WAITS) this.#waits.shift();
    this.#waits.push({ atMs, waitedMs });
  }

  /**
   * The number of workers that the pool should have from now on. Adds workers when the 95th percentile of
   * recent waits, including those in the queue, is over the target. Removes workers that were idle during a
   * whole cool-down of 30 s.
   */
  decide(now: Observation, range: ScalingRange): number {
    const { atMs, replicas } = now;
    this.#watchedSinceMs ??= atMs;
    this.#remember(now);
    const bounded = Math.min(Math.max(replicas, range.min), range.max);
    if (bounded !== replicas) return this.#change(atMs, bounded);
    const sinceChangeMs = atMs - this.#changedAtMs;
    if (this.#slowestUsualWait(now) > range.targetWaitMs) {
      const lacking = Math.max(1, Math.min(now.queueDepth, replicas));
      if (replicas === range.max || sinceChangeMs < SETTLE_MS) return replicas;
      return this.#change(atMs, Math.min(replicas + lacking, range.max));
    }
    if (sinceChangeMs < COOL_DOWN_MS || atMs - this.#watchedSinceMs < COOL_DOWN_MS) return replicas;
    const unneeded = Math.min(...this.#idle.map(({ workers }) => workers), replicas - range.min);
    return unneeded > 0 ? this.#change(atMs, replicas - unneeded) : replicas;
  }

  #change(atMs: number, replicas: number): number {
    this.#changedAtMs = atMs;
    return replicas;
  }

  #remember({ atMs, idleWorkers }: Observation): void {
    this.#idle.push({ atMs, workers: idleWorkers });
    forgetBefore(this.#idle, atMs - COOL_DOWN_MS);
    forgetBefore(this.#waits, atMs - WAITS_COUNT_FOR_MS);
  }

  #slowestUsualWait({ queueDepth, longestWaitMs }: Observation): number {
    const waits = this.#waits.map(({ waitedMs }) => waitedMs);
    for (let waiting = 0; waiting < Math.min(queueDepth, MAX_WAITS); waiting++) waits.push(longestWaitMs);
    waits.sort((a, b) => a - b);
    return waits[Math.ceil(waits.length * 0.95) - 1] ?? 0;
  }
}

function forgetBefore(entries: { readonly atMs: number }[], atMs: number): void {
  const first = entries.findIndex((entry) => entry.atMs >= atMs);
  entries.splice(0, first < 0 ? entries.length : first);
}

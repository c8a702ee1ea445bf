import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { Worker } from "../worker/worker.ts";
import type { PoolView } from "./view.ts";

/** Records queue times, starts and ends of workers as Prometheus metrics, by project. */
export type PoolMetrics = {
  /** Records how long an execution waited in the queue for its worker, in milliseconds. */
  granted(project: string, waitedMs: number): void;
  /**
   * Settles like `start`, and records how long the start took and whether it succeeded. Counts the end of the
   * worker when it comes.
   */
  timeStart(project: string, start: () => Promise<Worker>): Promise<Worker>;
};

const WAIT_BUCKETS_S = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** `views` returns the present state of each pool. `broken` returns the projects that cannot be used. */
export function createPoolMetrics(
  registry: Registry,
  views: () => Iterable<readonly [string, PoolView]>,
  broken: () => Iterable<string>,
): PoolMetrics {
  const registers = [registry];
  const labelNames = ["project"] as const;
  const gauge = (name: string, help: string, read: (view: PoolView) => number) =>
    new Gauge({
      name,
      help,
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const [project, view] of views()) this.set({ project }, read(view));
      },
    });
  gauge("airlock_pool_replicas", "Workers that the pool is to have.", (view) => view.replicas);
  gauge("airlock_pool_workers_idle", "Workers that wait for an execution.", (view) => view.idleWorkers);
  gauge(
    "airlock_pool_workers_paused",
    "Workers without a place that are kept for paused executions alone.",
    (view) => view.pausedWorkers,
  );
  gauge("airlock_pool_leases_running", "Executions that hold a worker.", (view) => view.running);
  gauge(
    "airlock_pool_leases_paused",
    "Executions that wait for a response on a worker.",
    (view) => view.paused,
  );
  gauge("airlock_pool_queue_depth", "Executions that wait for a worker.", (view) => view.queueDepth);
  new Gauge({
    name: "airlock_pool_project_broken",
    help: "1 for each project that cannot be used until its file or its secrets are corrected.",
    labelNames,
    registers,
    collect() {
      this.reset();
      for (const project of broken()) this.set({ project }, 1);
    },
  });
  const waits = new Histogram({
    name: "airlock_pool_queue_wait_seconds",
    help: "How long executions waited for a worker.",
    labelNames,
    buckets: WAIT_BUCKETS_S,
    registers,
  });
  const starts = new Histogram({
    name: "airlock_pool_worker_start_seconds",
    help: "How long workers took to start, by outcome.",
    labelNames: ["project", "outcome"],
    buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120],
    registers,
  });
  const ends = new Counter({
    name: "airlock_pool_workers_ended_total",
    help: "Workers that ended, asked or not.",
    labelNames,
    registers,
  });
  return {
    granted: (project, waitedMs) => waits.observe({ project }, waitedMs / 1_000),
    async timeStart(project, start) {
      const stop = starts.startTimer({ project });
      try {
        const worker = await start();
        stop({ outcome: "ready" });
        void worker.gone.then(() => ends.inc({ project }));
        return worker;
      } catch (error) {
        stop({ outcome: "failed" });
        throw error;
      }
    },
  };
}

import type { Action, Target } from "./faults.ts";
import type { Causes } from "./judgement.ts";
import type { KeptService } from "./kept-service.ts";
import type { Random } from "./random.ts";

/** The host of a chaos test's workers: it starts, counts and disturbs them from outside. */
export type WorkerHost = {
  /**
   * Services that the workers need, such as a Docker engine; they start before Airlock's services and stop after
   * them.
   */
  readonly services: ReadonlyMap<string, KeptService>;
  /** Targets of faults that only this host has, besides those of every host. */
  readonly targets: readonly Target[];
  /** The faults that may end a correct execution on this host, by end reason. */
  readonly causes: Causes;
  /** Environment variables that one of Airlock's services needs with this host. */
  environmentOf(service: string): Readonly<Record<string, string>>;
  /** Process ids of the live workers' supervisors. */
  supervisors(): Promise<number[]>;
  /**
   * Injects a fault into a target that is not a process. Resolves with `resumed`, which resolves when the target is
   * back, or with undefined when there is no such target.
   */
  injectFault(
    action: Action,
    target: Target,
    random: Random,
  ): Promise<{ resumed: Promise<void> } | undefined>;
  /** Counts everything that belongs to workers, by name. */
  counts(): Promise<Readonly<Record<string, number>>>;
  /** The counts that are right when this many workers per project are idle and nothing else is left. */
  expected(workers: Readonly<Record<string, number>>): Readonly<Record<string, number>>;
  /** Removes everything that is left of the workers. */
  remove(): Promise<void>;
};

/** Starts a worker host. `poolManager` returns the pool-manager's process id; undefined while it does not run. */
export type OpenWorkerHost = (
  directory: string,
  poolManager: () => number | undefined,
) => Promise<WorkerHost>;

import type { Clock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import type { ProjectDirectory } from "../peers/projects.ts";
import type { ExecutionStore } from "../store/store.ts";

/**
 * The held projects: they accept no execution until an operator releases them. A hold applies to all routers
 * and lasts across restarts.
 */
export type Holds = {
  /**
   * Holds the project. Rejects with `project_not_found`. Executions that were accepted before are still run.
   */
  hold(project: string): Promise<void>;
  /** Ends the hold. Resolves to whether the project was held. */
  release(project: string): Promise<boolean>;
  /** The names of the held projects, sorted. */
  list(): Promise<string[]>;
};

export function createHolds(
  store: ExecutionStore,
  projects: ProjectDirectory,
  clock: Clock,
  log: Log,
): Holds {
  return {
    async hold(project) {
      await projects.get(project);
      if (await store.holdProject(project, clock.now())) log.info({ project }, "project held");
    },
    async release(project) {
      const wasHeld = await store.releaseProject(project);
      if (wasHeld) log.info({ project }, "project released");
      return wasHeld;
    },
    list: () => store.listHeldProjects(),
  };
}

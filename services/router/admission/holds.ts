import type { Clock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import type { ProjectDirectory } from "../peers/projects.ts";
import type { ExecutionStore } from "../store/store.ts";

/** The projects that accept no execution until an operator says so, for all routers and across restarts. */
export type Holds = {
  /** Rejects with `project_not_found`. */
  hold(project: string): Promise<void>;
  /** Resolves to whether the project was held. */
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

import type { Clock } from "../common/clock.ts";
import type { PoolManagerServiceClient, Project } from "../common/gen/airlock/v1/pool_manager.ts";
import { callUnary } from "../common/grpc-client.ts";

// Long enough to spare a call per execution in a burst, short enough that a changed limit counts at once.
const FRESH_MS = 1_000;
const TIMEOUT_MS = 2_000;

/** What the router knows of projects: asked from the pool-manager, remembered for a second. */
export type ProjectDirectory = {
  /** Rejects with `project_not_found` (naming the known ones) or `unavailable`. */
  get(name: string): Promise<Project>;
};

export function createProjectDirectory(
  poolManager: PoolManagerServiceClient,
  clock: Clock,
): ProjectDirectory {
  const known = new Map<string, { project: Project; until: number }>();
  // A burst asks once: else each of its submissions would, and the pool-manager has enough to do then.
  const asked = new Map<string, Promise<Project>>();

  const ask = async (name: string): Promise<Project> => {
    const { project } = await callUnary(poolManager, poolManager.getProject, { name }, "pool-manager", {
      timeoutMs: TIMEOUT_MS,
    });
    if (!project) throw new Error("the pool-manager answered without a project");
    known.set(name, { project, until: clock.now() + FRESH_MS });
    return project;
  };
  return {
    async get(name) {
      const cached = known.get(name);
      if (cached && cached.until > clock.now()) return cached.project;
      known.delete(name);
      const asking = asked.get(name) ?? ask(name).finally(() => asked.delete(name));
      asked.set(name, asking);
      return await asking;
    },
  };
}

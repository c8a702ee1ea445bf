import { hasCode } from "#common/errors.ts";
import { callUnary } from "#common/grpc/client.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { PoolManagerServiceClient, Project } from "#proto/pool_manager.ts";

// The pool-manager's answers about a project are reused for a second. One call then serves all submissions of
// a burst, and a changed limit of a project still takes effect almost at once.
const FRESH_MS = 1_000;
const TIMEOUT_MS = 2_000;
// While the pool-manager cannot be reached, earlier answers are used for this long. A restart of the
// pool-manager takes less: ten seconds until its runs have ended, and then the takeover of many workers.
const KNOWN_FOR_MS = 60_000;

/**
 * The projects and their limits, as the pool-manager knows them. Answers are cached for a second, and for a
 * minute while the pool-manager cannot be reached.
 */
export type ProjectDirectory = {
  /** Rejects with `project_not_found`, whose message names the known projects, or with `unavailable`. */
  get(name: string): Promise<Project>;
};

export function createProjectDirectory(
  poolManager: PoolManagerServiceClient,
  clock: Clock,
): ProjectDirectory {
  const known = new Map<string, { project: Project; askedAtMs: number }>();
  // Calls that are under way, by project. Submissions of the same moment share one call, because the
  // pool-manager is busy enough during a burst.
  const asked = new Map<string, Promise<Project>>();

  const ask = async (name: string): Promise<Project> => {
    const { project } = await callUnary(poolManager, poolManager.getProject, { name }, "pool-manager", {
      timeoutMs: TIMEOUT_MS,
    });
    if (!project) throw new Error("the pool-manager answered without a project");
    known.set(name, { project, askedAtMs: clock.monotonicMs() });
    return project;
  };
  return {
    async get(name) {
      const cached = known.get(name);
      const ageMs = clock.monotonicMs() - (cached?.askedAtMs ?? Number.NEGATIVE_INFINITY);
      if (cached && ageMs < FRESH_MS) return cached.project;
      const asking = asked.get(name) ?? ask(name).finally(() => asked.delete(name));
      asked.set(name, asking);
      try {
        return await asking;
      } catch (error) {
        const isAway = hasCode(error, "unavailable") || hasCode(error, "deadline_exceeded");
        // The cached project is enough to accept an execution. The execution then stays pending until the
        // pool-manager is back.
        if (cached && isAway && ageMs < KNOWN_FOR_MS) return cached.project;
        known.delete(name);
        throw error;
      }
    },
  };
}

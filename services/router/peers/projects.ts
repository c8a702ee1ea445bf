import { hasCode } from "#common/errors.ts";
import { callUnary } from "#common/grpc/client.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { PoolManagerServiceClient, Project } from "#proto/pool_manager.ts";

// Answers are reused for a second. That saves one call for each execution of a burst, and lets a changed
// limit take effect almost at once.
const FRESH_MS = 1_000;
const TIMEOUT_MS = 2_000;
// Answers are kept for this long while the pool-manager is away. Its restart takes less: its runs have ten
// seconds to end, and the new process takes over many workers.
const KNOWN_FOR_MS = 60_000;

/**
 * Projects as the pool-manager knows them. Answers are cached for a second, and for a minute while the pool-manager
 * is away.
 */
export type ProjectDirectory = {
  /** Rejects with `project_not_found` (naming the known ones) or `unavailable`. */
  get(name: string): Promise<Project>;
};

export function createProjectDirectory(
  poolManager: PoolManagerServiceClient,
  clock: Clock,
): ProjectDirectory {
  const known = new Map<string, { project: Project; askedAtMs: number }>();
  // A burst of submissions shares one call, because the pool-manager is busy enough during a burst.
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
        // An execution that is accepted without the pool-manager stays pending until it is back.
        if (cached && isAway && ageMs < KNOWN_FOR_MS) return cached.project;
        known.delete(name);
        throw error;
      }
    },
  };
}

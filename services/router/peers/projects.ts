import { hasCode } from "#common/errors.ts";
import { callUnary } from "#common/grpc/client.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { PoolManagerServiceClient, Project } from "#proto/pool_manager.ts";

// Long enough to spare a call per execution in a burst, short enough that a changed limit counts at once.
const FRESH_MS = 1_000;
const TIMEOUT_MS = 2_000;
// Longer than a pool-manager takes to end and start again: its runs have ten seconds, and it may have a lot to take over.
const KNOWN_FOR_MS = 60_000;

/** What the router knows of projects: asked from the pool-manager, remembered for a second, and for a minute while nobody answers. */
export type ProjectDirectory = {
  /** Rejects with `project_not_found` (naming the known ones) or `unavailable`. */
  get(name: string): Promise<Project>;
};

export function createProjectDirectory(
  poolManager: PoolManagerServiceClient,
  clock: Clock,
): ProjectDirectory {
  const known = new Map<string, { project: Project; askedAtMs: number }>();
  // A burst asks once: else each of its submissions would, and the pool-manager has enough to do then.
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
        // What is accepted meanwhile waits for the pool-manager like everything else that is pending.
        if (cached && isAway && ageMs < KNOWN_FOR_MS) return cached.project;
        known.delete(name);
        throw error;
      }
    },
  };
}

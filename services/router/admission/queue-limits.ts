import { AirlockError } from "#common/errors.ts";
import type { Queues } from "../store/store.ts";

/**
 * Whether a project may go on though all of them together were at their limit: it has less than it would have if each
 * that has something had the same, or some have ended meanwhile. So floods leave room for whoever has little; n projects
 * together come to at most (1 + 1/2 + … + 1/n) times the limit.
 */
export function hasShare({ ofProject, inTotal, otherProjects }: Queues, maxUnfinished: number): boolean {
  if (inTotal.unfinished < maxUnfinished) return true;
  return otherProjects > 0 && ofProject.unfinished < maxUnfinished / (otherProjects + 1);
}

/** The refusal, with the numbers. `limit` is the project's own. */
export function queueFull(
  project: string,
  { ofProject, inTotal }: Queues,
  limit: number | undefined,
  maxUnfinished: number,
): AirlockError {
  const ofItsOwn = limit !== undefined && ofProject.unfinished >= limit;
  const reason = ofItsOwn
    ? `Project "${project}" already has ${ofProject.unfinished} executions that have not ended, and its limit is ${limit}`
    : `All projects together already have ${inTotal.unfinished} executions that have not ended, and their limit is ${maxUnfinished}; ${ofProject.unfinished} are of project "${project}"`;
  return new AirlockError(
    "queue_full",
    `${reason}. ${ofProject.pending} of the project's wait for a worker and would be before this one. Wait for some to end, then submit again.`,
  );
}

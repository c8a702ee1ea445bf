import { AirlockError } from "#common/errors.ts";
import type { Queues } from "../store/store.ts";

/**
 * Whether a project may submit although all projects together have reached the limit. It may while it has fewer
 * unfinished executions than the limit divided by the projects that have any, so that a flood of one project leaves
 * room for the others. With n flooding projects the total reaches at most (1 + 1/2 + … + 1/n) times the limit.
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

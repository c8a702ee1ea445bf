import { AirlockError } from "#common/errors.ts";
import type { Queues } from "../store/store.ts";

/**
 * Whether a project may submit although all projects together have reached the limit of unfinished
 * executions. A project may while it has fewer of them than its share: the limit divided by the number of
 * projects that have any. So a project that submits a flood leaves space for the others. With n flooding
 * projects the total reaches at most (1 + 1/2 + … + 1/n) times the limit.
 */
export function hasShare({ ofProject, inTotal, otherProjects }: Queues, maxUnfinished: number): boolean {
  if (inTotal.unfinished < maxUnfinished) return true;
  return otherProjects > 0 && ofProject.unfinished < maxUnfinished / (otherProjects + 1);
}

/**
 * The error that refuses a submission because a queue is full, with the numbers of executions. `limit`: the
 * project's own limit, undefined when it has none. `maxUnfinished`: the limit of all projects together.
 */
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

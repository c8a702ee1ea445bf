import { isUsable } from "#common/projects/catalogue.ts";
import { type Waiting, WaitingKind } from "#proto/execution.ts";
import type { ProjectState } from "./view.ts";

/**
 * Describes what an execution of the project waits for. `position` is its position in the project's queue, 0
 * when it is not in the queue. `refused` says why the project cannot be given its secrets; undefined when it
 * can.
 */
export function describeWaiting({ entry, pool }: ProjectState, position: number, refused?: string): Waiting {
  const waiting = (kind: WaitingKind, detail: string): Waiting => ({ kind, queuePosition: position, detail });
  const project = `project "${entry.name}"`;
  if (!isUsable(entry)) {
    return waiting(WaitingKind.WORKER, `The file of ${project} has an error that the operator must correct.`);
  }
  const busy = pool?.running ?? 0;
  const workers = busy + (pool?.idleWorkers ?? 0);
  if (workers === 0) {
    const why = pool?.detail || "starting workers";
    return waiting(WaitingKind.WORKER, `No worker of ${project} is ready yet: ${sentence(why)}`);
  }
  if (refused !== undefined) {
    const detail = `A worker is ready, but the script does not start yet: ${sentence(refused)}`;
    return waiting(WaitingKind.SERVICE, detail);
  }
  if (position === 0 || busy === 0)
    return waiting(WaitingKind.QUEUE, "A worker is ready; the script is about to start.");
  const all = busy === 1 ? `The one worker of ${project} is` : `All ${busy} workers of ${project} are`;
  const more = pool?.detail ? ` More workers: ${sentence(pool.detail)}` : "";
  return waiting(WaitingKind.QUEUE, `${all} busy; this execution is number ${position} in the queue.${more}`);
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

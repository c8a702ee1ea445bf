import { handBack, inSlices, type Task } from "#common/event-loop/background-thread.ts";
import { type OutlineTask, type OutlineTaskResult, outlineSteps } from "./json-outline.ts";

/**
 * Runs on the background thread: makes the outline of a large JSON text (a list of its members) for
 * `outlineBytes`.
 */
export default async function outlineTask(task: Task<OutlineTask>): Promise<OutlineTaskResult> {
  const { bytes, limits } = task.input;
  const steps = outlineSteps(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), limits);
  return handBack(await inSlices(steps, task));
}

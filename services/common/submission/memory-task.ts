import { inSlices, type Task } from "../event-loop/background-thread.ts";
import { checkMemory, type MemoryTask, type MemoryTaskResult } from "./memory.ts";

/** The task of the background thread that checks a large memory for `memoryProblem`. */
export default async function memoryTask(task: Task<MemoryTask>): Promise<MemoryTaskResult> {
  const { bytes } = task.input;
  return {
    problem: await inSlices(checkMemory(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)), task),
  };
}

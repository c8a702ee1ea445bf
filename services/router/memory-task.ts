import { atOnce } from "../common/turn.ts";
import { checkMemory, type MemoryTask, type MemoryTaskResult } from "./memory.ts";

/** What the other thread does for `memoryProblem`. */
export default function memoryTask({ bytes }: MemoryTask): MemoryTaskResult {
  return { problem: atOnce(checkMemory(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))) };
}

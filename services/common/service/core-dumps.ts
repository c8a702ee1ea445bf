import { writeFileSync } from "node:fs";

/**
 * Keeps the memory of this process, and of all processes that it starts, out of core dumps, because it holds
 * secrets. A dump size limit of 0 is not enough: a crash handler that the machine pipes dumps to gets the
 * dump regardless of the limit, and may keep it.
 */
export function keepMemoryOutOfCoreDumps(): void {
  try {
    writeFileSync("/proc/self/coredump_filter", "0");
  } catch {
    // A kernel without this file writes no core dumps.
  }
}

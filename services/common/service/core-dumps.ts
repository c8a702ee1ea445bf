import { writeFileSync } from "node:fs";

/**
 * Keeps the memory of this process, and of all processes that it starts, out of core dumps, because that
 * memory holds secrets. A size limit of 0 for core dumps is not enough: when the machine pipes core dumps to
 * a crash handler, the handler gets the memory regardless of the limit, and may keep it.
 */
export function keepMemoryOutOfCoreDumps(): void {
  try {
    writeFileSync("/proc/self/coredump_filter", "0");
  } catch {
    // A kernel without this file writes no core dumps.
  }
}

import { writeFileSync } from "node:fs";

/**
 * Leaves the memory of this process, and of all that it starts, out of core dumps. A limit of 0 does not: a handler that the
 * machine has for crashes gets the dump all the same, and may keep it, secrets included.
 */
export function keepMemoryOutOfCoreDumps(): void {
  try {
    writeFileSync("/proc/self/coredump_filter", "0");
  } catch {
    // A kernel without the file writes no dumps of its own.
  }
}

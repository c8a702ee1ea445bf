import { totalmem } from "node:os";

/**
 * The memory that this process and its children may use, in bytes: that of the machine, or less when a cgroup
 * limits it.
 */
export function ownMemoryBytes(): number {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}

import { totalmem } from "node:os";

/** The memory that this process and its children may have, in bytes: the machine's, or less where a cgroup says so. */
export function ownMemoryBytes(): number {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}

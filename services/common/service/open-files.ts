import { readFileSync } from "node:fs";

/** The limit that is assumed on systems without /proc, such as macOS: the lowest common one. */
const USUAL = 1_024;

/**
 * The number of files and sockets that this process may have open (`ulimit -n`; Node raises it to the hard
 * limit).
 */
export function maxOpenFiles(): number {
  try {
    const limit = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
    return limit === "unlimited" ? Number.MAX_SAFE_INTEGER : Number(limit ?? USUAL);
  } catch {
    return USUAL;
  }
}

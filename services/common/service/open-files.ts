import { readFileSync } from "node:fs";

/** Where a system does not tell; the least that is usual. */
const USUAL = 1_024;

/** How many files this process may have open, sockets among them (`ulimit -n`; Node raises it to the hard limit). */
export function maxOpenFiles(): number {
  try {
    const limit = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
    return limit === "unlimited" ? Number.MAX_SAFE_INTEGER : Number(limit ?? USUAL);
  } catch {
    return USUAL;
  }
}

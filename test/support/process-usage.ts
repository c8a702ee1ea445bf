import { lstat, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { treeOf } from "./process-tree.ts";

/** Memory, descriptors and number of some processes together. */
export type ProcessUsage = {
  readonly memoryMb: number;
  readonly descriptors: number;
  readonly processes: number;
};

/** The usage of these processes together; a process that has ended counts without memory and descriptors. */
export async function processUsageOf(pids: readonly number[]): Promise<ProcessUsage> {
  const each = await Promise.all(
    pids.map(async (pid) => ({ kb: await rssKb(pid), fds: await openFiles(pid) })),
  );
  return {
    memoryMb: each.reduce((sum, { kb }) => sum + kb, 0) / 1_024,
    descriptors: each.reduce((sum, { fds }) => sum + fds, 0),
    processes: pids.length,
  };
}

/** The ids of all descendants of a process. */
export async function belowOf(pid: number): Promise<number[]> {
  return (await treeOf(pid)).slice(1);
}

/** The bytes of all files below the directory, in MB. */
export async function diskMb(directory: string): Promise<number> {
  const entries = await readdir(directory, { recursive: true }).catch(() => []);
  const sizes = await Promise.all(
    entries.map((entry) =>
      lstat(join(directory, entry)).then(
        (found) => (found.isFile() ? found.size : 0),
        () => 0,
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0) / 1_048_576;
}

async function rssKb(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return Number(/^VmRSS:\s+(\d+)/m.exec(text)?.[1] ?? 0);
}

async function openFiles(pid: number): Promise<number> {
  return (await readdir(`/proc/${pid}/fd`).catch(() => [])).length;
}

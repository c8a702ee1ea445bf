import { lstat, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { treeOf } from "./process-tree.ts";

/** What a process and all below it take up. */
export type Footprint = {
  readonly memoryMb: number;
  readonly descriptors: number;
  readonly processes: number;
};

/** Of the process alone, or with what is below it. */
export async function footprintOf(pids: readonly number[]): Promise<Footprint> {
  const each = await Promise.all(
    pids.map(async (pid) => ({ kb: await rssKb(pid), fds: await openFiles(pid) })),
  );
  return {
    memoryMb: each.reduce((sum, { kb }) => sum + kb, 0) / 1_024,
    descriptors: each.reduce((sum, { fds }) => sum + fds, 0),
    processes: pids.length,
  };
}

/** The processes below this one, without it. */
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

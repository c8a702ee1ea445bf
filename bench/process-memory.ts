import { readFile } from "node:fs/promises";
import { treeOf } from "../test/support/process-tree.ts";

const MB = 1_000_000;

export type ProcessMemory = {
  /** What is in memory, shared pages included. */
  readonly residentMb: number;
  /** The same, shared pages divided by those that share them. */
  readonly shareMb: number;
  /** What would be free if it went. */
  readonly privateMb: number;
};

const NOTHING: ProcessMemory = { residentMb: 0, shareMb: 0, privateMb: 0 };

/** Nothing for a process that is gone. Rejects where the kernel tells only root. */
export async function memoryOf(pid: number): Promise<ProcessMemory> {
  let text: string;
  try {
    text = await readFile(`/proc/${pid}/smaps_rollup`, "utf8");
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return NOTHING;
    throw error;
  }
  const kb = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0);
  const mb = (...names: string[]) => (names.reduce((sum, name) => sum + kb(name), 0) * 1_024) / MB;
  return {
    residentMb: mb("Rss"),
    shareMb: mb("Pss"),
    privateMb: mb("Private_Clean", "Private_Dirty"),
  };
}

/** Of the process and all below it. */
export async function memoryOfTree(pid: number): Promise<ProcessMemory> {
  return await memoryOfAll(await treeOf(pid));
}

export async function memoryOfAll(pids: readonly number[]): Promise<ProcessMemory> {
  const all = await Promise.all(pids.map(memoryOf));
  return all.reduce(
    (sum, each) => ({
      residentMb: sum.residentMb + each.residentMb,
      shareMb: sum.shareMb + each.shareMb,
      privateMb: sum.privateMb + each.privateMb,
    }),
    NOTHING,
  );
}

/** What the whole machine could still give out. */
export async function availableMb(): Promise<number> {
  const text = await readFile("/proc/meminfo", "utf8");
  return (Number(/^MemAvailable:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1_024) / MB;
}

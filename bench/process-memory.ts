import { readFile } from "node:fs/promises";
import { treeOf } from "../test/support/process-tree.ts";

const MB = 1_000_000;

export type ProcessMemory = {
  /** Memory in RAM, shared pages included. */
  readonly residentMb: number;
  /** Memory in RAM, each shared page divided by the number of processes that share it. */
  readonly shareMb: number;
  /** Memory that would be freed if the process ended. */
  readonly privateMb: number;
};

const NOTHING: ProcessMemory = { residentMb: 0, shareMb: 0, privateMb: 0 };

/**
 * Memory of a process; zeros when the process has ended. Rejects where the kernel shows this only to root.
 */
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

/** Memory of a process and its descendants. */
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

/** Memory that the machine has available, in MB. */
export async function availableMb(): Promise<number> {
  const text = await readFile("/proc/meminfo", "utf8");
  return (Number(/^MemAvailable:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1_024) / MB;
}

import { mkdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { treeOf } from "../test/support/process-tree.ts";

/** CPU time in milliseconds: of a process's own code, and of the kernel's code for it. */
export type Used = { readonly userMs: number; readonly kernelMs: number };

/**
 * Counts the CPU time of a process tree, and of every process that it starts from now on. The kernel forgets
 * the time of a script's process when its process 1 is killed before it has reaped it; a cgroup does not.
 */
export type CpuCgroup = {
  /** The time since the cgroup was made. */
  used(): Promise<Used>;
  /** Removes the cgroup. Processes that still run go back to the one before. */
  remove(): Promise<void>;
};

// Where version 1 of cgroups counts processor time.
const CPUACCT = "/sys/fs/cgroup/cpuacct";
const NS_PER_MS = 1e6;
// Processes that are forked while others are moved are moved in the next attempt.
const ATTEMPTS = 50;
const PAUSE_MS = 20;

/**
 * Makes a cgroup for the tree of the process `root`; undefined where that is not possible: it takes root, and a
 * hierarchy of version 1 for `cpuacct` alone, because workers put runs into cgroups of their own in others.
 */
export async function openCpuCgroup(root: number): Promise<CpuCgroup | undefined> {
  const directory = `${CPUACCT}/airlock-bench-${root}`;
  try {
    const before = `${CPUACCT}${await cgroupOf(root)}`;
    await mkdir(directory);
    await move(await treeOf(root), directory);
    return {
      used: async () => {
        const ms = async (file: string) => Number(await readFile(`${directory}/${file}`, "utf8")) / NS_PER_MS;
        return { userMs: await ms("cpuacct.usage_user"), kernelMs: await ms("cpuacct.usage_sys") };
      },
      remove: async () => {
        for (let attempt = 1; ; attempt++) {
          await move(await processesIn(directory), before);
          try {
            return await rmdir(directory);
          } catch (error) {
            if (attempt === ATTEMPTS) throw error;
            await delay(PAUSE_MS);
          }
        }
      },
    };
  } catch {
    return undefined;
  }
}

async function cgroupOf(pid: number): Promise<string> {
  const line = (await readFile(`/proc/${pid}/cgroup`, "utf8"))
    .split("\n")
    .find((each) => each.split(":")[1] === "cpuacct");
  if (line === undefined) throw new Error("there is no hierarchy for cpuacct alone");
  return line.split(":").slice(2).join(":");
}

async function processesIn(directory: string): Promise<number[]> {
  return (await readFile(`${directory}/cgroup.procs`, "utf8")).split("\n").filter(Boolean).map(Number);
}

async function move(pids: readonly number[], directory: string): Promise<void> {
  for (const pid of pids) {
    await writeFile(`${directory}/cgroup.procs`, String(pid)).catch((error: NodeJS.ErrnoException) => {
      // The process has ended.
      if (error.code !== "ESRCH") throw error;
    });
  }
}

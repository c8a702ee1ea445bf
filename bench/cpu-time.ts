import { readFile } from "node:fs/promises";
import { childrenOf, treeOf } from "../test/support/process-tree.ts";
import type { CpuCgroup } from "./cpu-cgroup.ts";

// Milliseconds per tick, the unit of CPU time in /proc/PID/stat, which is the same on all Linux machines.
const MS_PER_TICK = 10;

/**
 * CPU time in milliseconds of a process tree so far, including children that have ended. Without a cgroup only
 * children that were waited for count, which leaves out much of the runs' time.
 */
export type CpuMs = {
  readonly all: number;
  /** CPU time of the root process, which runs the services. */
  readonly services: number;
  /** CPU time of the root's child processes, which are the supervisors of workers. */
  readonly supervisors: number;
  /** CPU time of all further descendants: zygotes, spares, sandboxes and scripts. */
  readonly runs: number;
};

/** CPU time of a process and its descendants. `cgroup`: that of this tree, which counts all that ran in it. */
export async function cpuMsOfTree(pid: number, cgroup?: CpuCgroup): Promise<CpuMs> {
  const supervisors = await Promise.all((await childrenOf(pid)).map(ticksOf));
  const total = cgroup ? await msIn(cgroup) : await msOfTree(pid);
  const services = (await ticksOf(pid)).own;
  const inSupervisors = sum(supervisors.map(({ own }) => own));
  return { all: total, services, supervisors: inSupervisors, runs: total - services - inSupervisors };
}

async function msIn(cgroup: CpuCgroup): Promise<number> {
  const { userMs, kernelMs } = await cgroup.used();
  return userMs + kernelMs;
}

async function msOfTree(pid: number): Promise<number> {
  const all = await Promise.all((await treeOf(pid)).map(ticksOf));
  return sum(all.map(({ own, children }) => own + children));
}

async function ticksOf(pid: number): Promise<{ readonly own: number; readonly children: number }> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  // The text after the second field, because that field is in parentheses and may hold spaces. Fields 14 to
  // 17 are user and system time, then both for ended children.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const ms = (at: number) => Number(fields[at] ?? 0) * MS_PER_TICK;
  return { own: ms(11) + ms(12), children: ms(13) + ms(14) };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

import { readFile } from "node:fs/promises";
import { childrenOf } from "../../test/support/process-tree.ts";
import { openCpuCgroup, type Used } from "../cpu-cgroup.ts";

// Milliseconds per tick, the unit of CPU time in /proc/PID/stat, which is the same on all Linux machines.
const MS_PER_TICK = 10;

/** The processes that take part in an execution. `run`: all processes of the runs, from their birth to their end. */
export const PROCESSES = ["services", "supervisor", "zygote", "template", "run"] as const;
export type ProcessName = (typeof PROCESSES)[number];

/** Counts what the processes of an Airlock use. */
export type Counter = {
  /** What each process has used so far. */
  used(): Promise<Record<ProcessName, Used>>;
  /** Removes the cgroup. */
  remove(): Promise<void>;
  /** Whether all that the runs use is counted. */
  readonly isWhole: boolean;
};

/**
 * Counts for an embedded Airlock whose services are the process `root`. A cgroup counts all processes together, and
 * the runs have what the others have not. Without such a cgroup the runs have what the template has reaped.
 */
export async function counterOf(root: number): Promise<Counter> {
  const cgroup = await openCpuCgroup(root);
  return {
    isWhole: cgroup !== undefined,
    used: async () => {
      const { run, ...others } = await usedByProcess(root);
      if (!cgroup) return { ...others, run };
      return { ...others, run: minus(await cgroup.used(), sum(...Object.values(others))) };
    },
    remove: async () => await cgroup?.remove(),
  };
}

async function usedByProcess(root: number): Promise<Record<ProcessName, Used>> {
  const supervisors = await childrenOf(root);
  const zygotes = (await Promise.all(supervisors.map(childrenOf))).flat();
  const templates = (await Promise.all(zygotes.map(childrenOf))).flat();
  const own = async (pids: readonly number[]) =>
    sum(...(await Promise.all(pids.map(statOf))).map(({ own }) => own));
  return {
    services: await own([root]),
    supervisor: await own(supervisors),
    zygote: await own(zygotes),
    template: await own(templates),
    run: sum(...(await Promise.all(templates.map(statOf))).map(({ children }) => children)),
  };
}

/** What a forking process and its children that have ended have used so far. */
export async function usedByForks(pid: number): Promise<Used> {
  const { own, children } = await statOf(pid);
  return sum(own, children);
}

/** The difference for each of `count` executions. */
export function usedByEach(before: Used, after: Used, count: number): Used {
  const { userMs, kernelMs } = minus(after, before);
  return { userMs: userMs / count, kernelMs: kernelMs / count };
}

export function sum(...parts: readonly Used[]): Used {
  const add = (a: Used, b: Used) => ({ userMs: a.userMs + b.userMs, kernelMs: a.kernelMs + b.kernelMs });
  return parts.reduce(add, { userMs: 0, kernelMs: 0 });
}

function minus(a: Used, b: Used): Used {
  return { userMs: a.userMs - b.userMs, kernelMs: a.kernelMs - b.kernelMs };
}

async function statOf(pid: number): Promise<{ readonly own: Used; readonly children: Used }> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8");
  // The text after the second field, because that field is in parentheses and may hold spaces. Its fields 11 to
  // 14 are user and system time of the process, then both of its children that have ended.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const ms = (at: number) => Number(fields[at] ?? 0) * MS_PER_TICK;
  return {
    own: { userMs: ms(11), kernelMs: ms(12) },
    children: { userMs: ms(13), kernelMs: ms(14) },
  };
}

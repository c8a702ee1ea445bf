import { readFile } from "node:fs/promises";
import { childrenOf, treeOf } from "../test/support/process-tree.ts";

// The unit of /proc/PID/stat on every machine that Linux runs on.
const MS_PER_TICK = 10;

/** CPU that was used so far, those included that ended and were waited for. */
export type CpuMs = {
  readonly all: number;
  /** The process itself. */
  readonly services: number;
  /** Those that it started: the supervisors of workers. */
  readonly supervisors: number;
  /** All below those: zygotes, spares, the sandboxes and the scripts in them. */
  readonly runs: number;
};

/** Of a process and all below it. */
export async function cpuMsOfTree(pid: number): Promise<CpuMs> {
  const all = await Promise.all((await treeOf(pid)).map(ticksOf));
  const supervisors = await Promise.all((await childrenOf(pid)).map(ticksOf));
  const total = sum(all.map(({ own, children }) => own + children));
  const services = (await ticksOf(pid)).own;
  const inSupervisors = sum(supervisors.map(({ own }) => own));
  return { all: total, services, supervisors: inSupervisors, runs: total - services - inSupervisors };
}

async function ticksOf(pid: number): Promise<{ readonly own: number; readonly children: number }> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  // The second field, in parentheses, may hold spaces: user, system, and the same of the children are the 14th to the 17th.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const ms = (at: number) => Number(fields[at] ?? 0) * MS_PER_TICK;
  return { own: ms(11) + ms(12), children: ms(13) + ms(14) };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

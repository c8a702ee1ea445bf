import { readFile } from "node:fs/promises";
import { treeOf } from "../test/support/process-tree.ts";

// The unit of /proc/PID/stat on every machine that Linux runs on.
const MS_PER_TICK = 10;

/** CPU that the process and all below it have used so far, those included that ended and were waited for. */
export async function cpuMsOfTree(pid: number): Promise<number> {
  const all = await Promise.all((await treeOf(pid)).map(ticksOf));
  return all.reduce((sum, ticks) => sum + ticks, 0) * MS_PER_TICK;
}

async function ticksOf(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  // The second field, in parentheses, may hold spaces: user, system, and the same of the children are the 14th to the 17th.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks || 0), 0);
}

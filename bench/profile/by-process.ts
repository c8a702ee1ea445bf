import { setTimeout as delay } from "node:timers/promises";
import { PYTHON } from "../../cli/tools.ts";
import { startAirlock } from "../../test/harness/airlock.ts";
import { execute, restClient } from "../clients/rest.ts";
import type { Used } from "../cpu-cgroup.ts";
import { type Floor, startFloor } from "../floor.ts";
import { digits } from "../numbers.ts";
import { SCRIPT } from "../rows/latency.ts";
import { counterOf, PROCESSES, sum, usedByEach, usedByForks } from "./processor-time.ts";

const WARM_UP = 40;
const EXECUTIONS = 150;
const FORKS = 300;
// Milliseconds between executions, and until the last one's processes have ended.
const PAUSE_MS = 25;
const REST_MS = 500;

/** What one execution uses in a process, and its processor time as a ratio to that of a bare fork. */
export type ByProcess = Used & { readonly what: string; readonly ratio: number };

/** The processor time of one execution by process, without any hooks, and of a bare fork (see floor.py). */
export async function measureByProcess(): Promise<ByProcess[]> {
  const floor = await startFloor(PYTHON, []);
  try {
    const airlock = await startAirlock({ projects: { plain: "" } });
    const client = restClient(airlock.url);
    const counter = await counterOf(airlock.pid);
    try {
      const executions = async (count: number) => {
        for (let each = 0; each < count; each++) {
          await execute(client, "plain", SCRIPT);
          await delay(PAUSE_MS);
        }
        await delay(REST_MS);
      };
      await executions(WARM_UP);
      const before = await counter.used();
      await executions(EXECUTIONS);
      const after = await counter.used();
      const used = PROCESSES.map((name) => ({
        what: name === "run" && !counter.isWhole ? "run, as far as it was counted" : name,
        ...usedByEach(before[name], after[name], EXECUTIONS),
      }));
      const fork = await forkOf(floor);
      const all = [...used, { what: "all", ...sum(...used) }, { what: "a bare fork", ...fork }];
      return all.map((each) => ({ ...each, ratio: msOf(each) / msOf(fork) }));
    } finally {
      client.close();
      await counter.remove();
      await airlock.remove();
    }
  } finally {
    await floor.close();
  }
}

async function forkOf(floor: Floor): Promise<Used> {
  await floor.run(SCRIPT, WARM_UP);
  const before = await usedByForks(floor.pid);
  await floor.run(SCRIPT, FORKS);
  return usedByEach(before, await usedByForks(floor.pid), FORKS);
}

function msOf({ userMs, kernelMs }: Used): number {
  return userMs + kernelMs;
}

export const BY_PROCESS_HEADING = ["process", "ms", "own code", "kernel", "× fork"];

export function byProcessLines(rows: readonly ByProcess[]): string[][] {
  return rows.map((row) => [
    row.what,
    digits(msOf(row)),
    digits(row.userMs),
    digits(row.kernelMs),
    digits(row.ratio),
  ]);
}

import { appendFile, cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { PYTHON, ROOT } from "../../cli/tools.ts";
import { startAirlock } from "../../test/harness/airlock.ts";
import { execute, restClient } from "../clients/rest.ts";
import { digits } from "../numbers.ts";
import { SCRIPT } from "../rows/latency.ts";
import { median } from "../statistics.ts";

const WARM_UP = 10;
const EXECUTIONS = 60;

/** A step of a run child before its script: its processor time and its page faults. */
export type ChildStep = { readonly what: string; readonly ms: number; readonly faults: number };

type Measured = readonly (readonly [what: string, ns: number, faults: number])[];

/** The steps of a run child, measured by a copy of the worker with hooks (child_steps.py), as medians. */
export async function measureByStep(): Promise<ChildStep[]> {
  const directory = await mkdtemp(join(tmpdir(), "airlock-bench-"));
  try {
    const airlock = await startAirlock({
      projects: { plain: "" },
      env: { AIRLOCK_PYTHON: await pythonOfCopy(directory) },
    });
    const client = restClient(airlock.url);
    try {
      const measured: Measured[] = [];
      for (let each = 0; each < WARM_UP + EXECUTIONS; each++) {
        const { stderr } = await execute(client, "plain", SCRIPT);
        if (each >= WARM_UP) measured.push(JSON.parse(stderr.split("\n")[0] as string));
      }
      return stepsOfChild(measured);
    } finally {
      client.close();
      await airlock.remove();
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Adds up the entries of each step, and takes the medians over the executions; the longest step first. */
export function stepsOfChild(executions: readonly Measured[]): ChildStep[] {
  const steps = new Set(executions.flat().map(([what]) => what));
  const total = (measured: Measured, what: string, at: 1 | 2) =>
    measured.filter(([name]) => name === what).reduce((sum, entry) => sum + entry[at], 0);
  return [...steps]
    .map((what) => ({
      what,
      ms: median(executions.map((measured) => total(measured, what, 1))) / 1e6,
      faults: median(executions.map((measured) => total(measured, what, 2))),
    }))
    .sort((a, b) => b.ms - a.ms);
}

/** Copies the worker, adds the hooks, and writes a wrapper of the interpreter that starts the copy. */
async function pythonOfCopy(directory: string): Promise<string> {
  const worker = join(directory, "worker");
  await cp(join(ROOT, "worker", "airlock_worker"), join(worker, "airlock_worker"), { recursive: true });
  await symlink(join(ROOT, "proto"), join(directory, "proto"));
  const hooks = await readFile(join(import.meta.dirname, "child_steps.py"), "utf8");
  await appendFile(join(worker, "airlock_worker", "child", "child.py"), `\n\n${hooks}`);
  const python = join(directory, "python");
  await writeFile(
    python,
    `#!/bin/sh
if [ "$1 $2" = "-m airlock_worker" ]; then export PYTHONPATH='${worker}'; fi
exec '${PYTHON}' "$@"
`,
    { mode: 0o755 },
  );
  await symlink(join(dirname(PYTHON), "uv"), join(directory, "uv"));
  return python;
}

export const BY_STEP_HEADING = ["step of a run child", "ms", "page faults"];

export function byStepLines(steps: readonly ChildStep[]): string[][] {
  return steps.map(({ what, ms, faults }) => [what, digits(ms), faults.toFixed(0)]);
}

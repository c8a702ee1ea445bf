import { chmod, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Transport } from "#sdk/transport.ts";
import { table } from "../../cli/terminal/table.ts";
import { PYTHON } from "../../cli/tools.ts";
import { startAirlock } from "../../test/harness/airlock.ts";
import { execute, restClient } from "../clients/rest.ts";
import { digits } from "../numbers.ts";
import { SCRIPT } from "../rows/latency.ts";
import { BY_PROCESS_HEADING, type ByProcess, byProcessLines, measureByProcess } from "./by-process.ts";
import { BY_STEP_HEADING, byStepLines, type ChildStep, measureByStep } from "./by-step.ts";
import type { Stamp } from "./stamp.ts";
import { type Step, stepsOf } from "./steps.ts";

const WARM_UP = 40;
const EXECUTIONS = 150;
// Milliseconds between executions, so that the clean-up of one does not delay the next.
const PAUSE_MS = 25;

/**
 * The steps of one execution through the embedded service, over REST with `wait`; its processor time by process;
 * and that of a run child by step.
 */
export type Profile = {
  readonly executions: number;
  readonly steps: readonly Step[];
  readonly byProcess: readonly ByProcess[];
  readonly byStep: readonly ChildStep[];
};

/** Measures an execution from three sides, each with an Airlock of its own, because hooks take time themselves. */
export async function measureProfile(say: (progress: string) => void): Promise<Profile> {
  say("profile: the way of an execution");
  const way = await measureWay();
  say("profile: processor time by process");
  const byProcess = await measureByProcess();
  say("profile: processor time of a run child by step");
  return { ...way, byProcess, byStep: await measureByStep() };
}

/**
 * Runs the same script many times and records each step. The hooks are added from outside to the services and
 * the worker.
 */
async function measureWay(): Promise<Pick<Profile, "executions" | "steps">> {
  const directory = await mkdtemp(join(tmpdir(), "airlock-bench-"));
  const path = (name: string) => join(directory, `${name}.json`);
  try {
    const airlock = await startAirlock({
      projects: { plain: "" },
      preload: join(import.meta.dirname, "hooks.ts"),
      env: {
        AIRLOCK_PYTHON: await pythonWithHooks(directory, path("worker")),
        AIRLOCK_PROFILE: path("services"),
      },
    });
    const own: Stamp[][] = [];
    const client = restClient(airlock.url, (send) => noting(send, () => own.at(-1)));
    try {
      for (let each = 0; each < WARM_UP; each++) await execute(client, "plain", SCRIPT);
      for (let each = 0; each < EXECUTIONS; each++) {
        await delay(PAUSE_MS);
        own.push([]);
        await execute(client, "plain", SCRIPT);
      }
      await delay(PAUSE_MS);
    } finally {
      client.close();
      await airlock.remove();
    }
    const read = async (name: string) => JSON.parse(await readFile(path(name), "utf8")) as Stamp[];
    const stamps = [...(await read("services")), ...(await read("worker")), ...own.flat()];
    const begins = own.map(([first]) => (first as Stamp)[0]);
    return { executions: EXECUTIONS, steps: stepsOf(stamps, begins) };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** A transport that records when it sends each request and has its answer. `stamps` is undefined while warming up. */
function noting(send: Transport, stamps: () => Stamp[] | undefined): Transport {
  const stamp = (what: string) => stamps()?.push([Number(process.hrtime.bigint()) / 1e6, `client: ${what}`]);
  return async (request) => {
    stamp(`${request.method} sent`);
    const answer = await send(request);
    stamp(`${request.method} answered`);
    return answer;
  };
}

/**
 * Writes a wrapper of the worker's interpreter that adds hooks to `airlock_worker`. The wrapper sets
 * AIRLOCK_PROFILE, because the pool-manager starts workers with an environment of their own.
 */
async function pythonWithHooks(directory: string, path: string): Promise<string> {
  const python = join(directory, "python");
  const hooks = join(import.meta.dirname, "worker.py");
  await writeFile(
    python,
    `#!/bin/sh
if [ "$1 $2" = "-m airlock_worker" ]; then
  shift 2
  AIRLOCK_PROFILE='${path}' exec '${PYTHON}' '${hooks}' "$@"
fi
exec '${PYTHON}' "$@"
`,
  );
  await chmod(python, 0o755);
  await symlink(join(dirname(PYTHON), "uv"), join(directory, "uv"));
  return python;
}

/** The text that `./airlock bench --profile` prints. */
export function profileText({ executions, steps, byProcess, byStep }: Profile): string {
  const lines = steps.map(({ atMs, sinceMs, what }) => [digits(atMs), digits(sinceMs), what]);
  return [
    `The way of \`${SCRIPT}\`, median of ${executions} executions, ms:\n${table(["at", "+", "what"], lines)}`,
    `Processor time of one execution:\n${table(BY_PROCESS_HEADING, byProcessLines(byProcess))}`,
    `Processor time of a run child before its script, median:\n${table(BY_STEP_HEADING, byStepLines(byStep))}`,
  ].join("\n");
}

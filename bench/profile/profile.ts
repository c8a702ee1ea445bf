import { chmod, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { table } from "../../cli/terminal/table.ts";
import { PYTHON } from "../../cli/tools.ts";
import { startAirlock } from "../../test/harness/airlock.ts";
import { type HttpClient, httpClient } from "../clients/http.ts";
import { execute } from "../clients/rest.ts";
import { digits } from "../numbers.ts";
import { SCRIPT } from "../rows/latency.ts";
import type { Stamp } from "./stamp.ts";
import { type Step, stepsOf } from "./steps.ts";

const WARM_UP = 40;
const EXECUTIONS = 150;
// So that what is tidied up after one is not in the time of the next.
const PAUSE_MS = 25;

/** The way of one execution through the embedded service, by REST with `wait`, step by step. */
export type Profile = { readonly executions: number; readonly steps: readonly Step[] };

/** Runs the same script over and over with hooks at every hop, which services and worker get from outside. */
export async function measureProfile(say: (progress: string) => void): Promise<Profile> {
  say("profile");
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
    const http = httpClient(airlock.url);
    const own: Stamp[][] = [];
    try {
      for (let each = 0; each < WARM_UP; each++) await execute(http, "plain", SCRIPT);
      for (let each = 0; each < EXECUTIONS; each++) {
        await delay(PAUSE_MS);
        own.push(await executeWithStamps(http));
      }
      await delay(PAUSE_MS);
    } finally {
      http.close();
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

/** The client's own stamps are at its calls, which `execute` makes. */
async function executeWithStamps(http: HttpClient): Promise<Stamp[]> {
  const stamps: Stamp[] = [];
  const stamp = (what: string) => stamps.push([Number(process.hrtime.bigint()) / 1e6, `client: ${what}`]);
  const noting =
    <Args extends unknown[]>(method: string, call: (...args: Args) => Promise<string>) =>
    async (...args: Args) => {
      stamp(`${method} sent`);
      const text = await call(...args);
      stamp(`${method} answered`);
      return text;
    };
  await execute({ ...http, get: noting("GET", http.get), post: noting("POST", http.post) }, "plain", SCRIPT);
  return stamps;
}

/** An interpreter that is the worker's, but runs `airlock_worker` with hooks. Its environment is the worker's own. */
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

/** What `./airlock bench --profile` prints. */
export function profileText({ executions, steps }: Profile): string {
  const lines = steps.map(({ atMs, sinceMs, what }) => [digits(atMs), digits(sinceMs), what]);
  return `The way of \`${SCRIPT}\`, median of ${executions} executions, ms:\n${table(["at", "+", "what"], lines)}`;
}

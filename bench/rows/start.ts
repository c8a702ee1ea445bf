import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ROOT } from "../../cli/tools.ts";
import { freePort } from "../../test/support/free-port.ts";
import type { Row } from "../bench.ts";
import { PROJECTS } from "../projects.ts";
import { interleave, timed } from "../rounds.ts";

const FLOOR = "Node alone";
const LOOK_AGAIN_MS = 2;
const DEADLINE_MS = 60_000;

/** Measures the time from the command `./airlock up` to the first answer of GET /health. */
export const start: Row = {
  name: "start",
  title: "`./airlock up` to the first health; ratio to the start of Node",
  async measure(bench) {
    bench.say("start");
    const directory = await mkdtemp(join(tmpdir(), "airlock-bench-"));
    await mkdir(join(directory, "projects"));
    await writeFile(join(directory, "projects", "plain.yaml"), `name: plain\n${PROJECTS.plain}`);
    try {
      // A first start is not counted, because it makes the data directory that later starts find.
      await startOnce(directory);
      const subjects = [
        { name: FLOOR, round: async () => ({ health: await timed(runNode) }) },
        { name: "embedded", floor: FLOOR, round: async () => ({ health: await startOnce(directory) }) },
      ];
      return (await interleave(subjects, bench.plan.starts)).figures(this.name, "ms");
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  },
};

async function runNode(): Promise<void> {
  await once(spawn(process.execPath, ["-e", "0"], { stdio: "ignore" }), "close");
}

async function startOnce(directory: string): Promise<number> {
  const port = await freePort();
  const places = ["--projects", join(directory, "projects"), "--data", join(directory, "data")];
  const from = performance.now();
  const child = spawn(join(ROOT, "airlock"), ["up", "--port", String(port), ...places], { stdio: "ignore" });
  const closed = once(child, "close");
  try {
    while (!(await isHealthy(port))) {
      if (child.exitCode !== null || performance.now() - from > DEADLINE_MS)
        throw new Error("./airlock up does not become healthy");
      await delay(LOOK_AGAIN_MS);
    }
    return performance.now() - from;
  } finally {
    child.kill("SIGINT");
    await closed;
  }
}

function isHealthy(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    get({ port, host: "127.0.0.1", path: "/health", agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    }).once("error", () => resolve(false));
  });
}

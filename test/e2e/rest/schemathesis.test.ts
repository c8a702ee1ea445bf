import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lockedEnvironment } from "../../../bench/locked-environment.ts";
import { startAirlock, type TestAirlock } from "../../harness/airlock.ts";

const HERE = join(import.meta.dirname, "..", "..", "schemathesis");
const LOCK = join(HERE, "requirements.lock");
// Half a minute on a machine of its own.
const RUN_MS = 500_000;

let directory: string;
let schemathesis: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-schemathesis-"));
  schemathesis = join(await lockedEnvironment("schemathesis", LOCK), "bin", "schemathesis");
}, 120_000);
afterAll(() => rm(directory, { recursive: true }));

/** All checks in all phases: examples, coverage, fuzzing, chains of calls. */
function check(url: string): Promise<{ status: number; output: string }> {
  const checks = ["--checks", "all", "--max-examples", "50", "--request-timeout", "60", "--no-color"];
  const args = ["run", `${url}/openapi.json`, ...checks, "--generation-database", "none"];
  const env = { ...process.env, PYTHONPATH: HERE, SCHEMATHESIS_HOOKS: "hooks" };
  return new Promise((resolve) => {
    execFile(
      schemathesis,
      args,
      { cwd: directory, env, timeout: RUN_MS, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) =>
        resolve({ status: error ? Number(error.code ?? -1) : 0, output: stdout + stderr }),
    );
  });
}

describe.each([
  ["the service", false],
  ["up --mock", true],
])("schemathesis on %s", (_name, mock) => {
  let airlock: TestAirlock;
  beforeAll(async () => {
    // Requests of schemathesis start and stop workers at random.
    airlock = await startAirlock({ mock, env: { AIRLOCK_MAX_WORKERS: "2" } });
  }, 120_000);
  afterAll(() => airlock.remove());

  it(
    "schemathesis finds no fault in any operation",
    async () => {
      const { status, output } = await check(airlock.url);
      expect(output).toMatch(/Tested: +\d\d/);
      expect(status, output.slice(-20_000)).toBe(0);
    },
    RUN_MS + 10_000,
  );
});

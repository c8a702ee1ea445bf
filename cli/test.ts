import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CRASHED,
  sumOf,
  type Tally,
  tallyFails,
  tallyLine,
  tallyOfJunit,
  withExitStatus,
} from "./test-tally.ts";
import { PYTHON, ROOT, runVisibly } from "./tools.ts";

const WORKER = join(ROOT, "worker");
const WORKER_FILTER = /^(\.\/)?worker\//;

/** `./airlock test`: every runner, then one line over all of them. */
export async function test(filters: readonly string[]): Promise<number> {
  const forWorker = filters.filter((filter) => WORKER_FILTER.test(filter));
  const forServices = filters.filter((filter) => !WORKER_FILTER.test(filter));
  const reports = await mkdtemp(join(tmpdir(), "airlock-tests-"));
  try {
    const tallies: Tally[] = [];
    if (filters.length === 0 || forServices.length > 0) tallies.push(await runVitest(forServices, reports));
    if (filters.length === 0 || forWorker.length > 0) tallies.push(await runPytest(forWorker, reports));
    return conclude(sumOf(tallies), Boolean(process.env.CI));
  } finally {
    await rm(reports, { recursive: true });
  }
}

async function runVitest(filters: readonly string[], reports: string): Promise<Tally> {
  const report = join(reports, "vitest.json");
  const reporters = ["--reporter=default", `--reporter=${join(ROOT, "cli", "test-reporter.ts")}`];
  const status = await runVisibly(["vitest", "run", ...reporters, ...filters], {
    env: { AIRLOCK_TEST_TALLY: report },
  });
  return withExitStatus(await tallyFrom(report, JSON.parse), status);
}

async function runPytest(filters: readonly string[], reports: string): Promise<Tally> {
  const report = join(reports, "pytest.xml");
  const paths = filters.map((filter) => filter.replace(WORKER_FILTER, ""));
  const status = await runVisibly([PYTHON, "-m", "pytest", `--junitxml=${report}`, ...paths], {
    cwd: WORKER,
  });
  return withExitStatus(await tallyFrom(report, tallyOfJunit), status);
}

async function tallyFrom(report: string, parse: (text: string) => Tally): Promise<Tally> {
  try {
    return parse(await readFile(report, "utf8"));
  } catch {
    // No report, or half of one: the runner crashed.
    return CRASHED;
  }
}

function conclude(tally: Tally, inCi: boolean): number {
  if (tally.skipped.length > 0) {
    process.stdout.write(`\nSkipped:\n${tally.skipped.map((line) => `  ${line}\n`).join("")}`);
    if (inCi) process.stdout.write("In CI nothing may be skipped.\n");
  }
  process.stdout.write(`\n${tallyLine(tally)}\n`);
  return tallyFails(tally, inCi) ? 1 : 0;
}

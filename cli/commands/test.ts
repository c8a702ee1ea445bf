import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { repeatFailed } from "../testing/repeats.ts";
import {
  CRASHED,
  type FileTallies,
  sumOf,
  type Tally,
  tallyFails,
  tallyLine,
  tallyOfJunit,
  withExitStatus,
} from "../testing/tally.ts";
import { PYTHON, ROOT, runVisibly } from "../tools.ts";

const WORKER = join(ROOT, "worker");
const WORKER_FILTER = /^(\.\/)?worker\//;

/** `./airlock test` runs the tests of the services and of the worker, then prints one line of totals. */
export async function test(filters: readonly string[]): Promise<number> {
  const forWorker = filters.filter((filter) => WORKER_FILTER.test(filter));
  const forServices = filters.filter((filter) => !WORKER_FILTER.test(filter));
  const reports = await mkdtemp(join(tmpdir(), "airlock-tests-"));
  try {
    const tallies: Tally[] = [];
    const flaky: string[] = [];
    if (filters.length === 0 || forServices.length > 0) {
      const first = await runVitest(forServices, reports);
      const repeated = await repeatFailed(first, (file) => runAgain(file, reports));
      tallies.push(repeated.tally);
      flaky.push(...repeated.flaky);
    }
    if (filters.length === 0 || forWorker.length > 0) tallies.push(await runPytest(forWorker, reports));
    return conclude(sumOf(tallies), flaky, Boolean(process.env.CI));
  } finally {
    await rm(reports, { recursive: true });
  }
}

async function runVitest(filters: readonly string[], reports: string): Promise<FileTallies> {
  const report = join(reports, "vitest.json");
  await rm(report, { force: true });
  const reporters = ["--reporter=default", `--reporter=${join(ROOT, "cli", "testing", "reporter.ts")}`];
  const status = await runVisibly(["vitest", "run", ...reporters, ...filters], {
    env: { AIRLOCK_TEST_TALLY: report },
  });
  const tallies = await readReport(report, JSON.parse as (text: string) => FileTallies);
  if (!tallies) return { files: {}, errorsOutside: 1 };
  const failed = sumOf(Object.values(tallies.files)).failed + tallies.errorsOutside;
  return status !== 0 && failed === 0 ? { ...tallies, errorsOutside: 1 } : tallies;
}

/** Runs one test file by itself, after it failed beside others. */
async function runAgain(file: string, reports: string): Promise<Tally> {
  process.stdout.write(`\nOnce more, by itself: ${file}\n`);
  const { files, errorsOutside } = await runVitest([file], reports);
  const tally = sumOf(Object.values(files));
  return { ...tally, failed: tally.failed + errorsOutside };
}

async function runPytest(filters: readonly string[], reports: string): Promise<Tally> {
  const report = join(reports, "pytest.xml");
  const paths = filters.map((filter) => filter.replace(WORKER_FILTER, ""));
  const status = await runVisibly([PYTHON, "-m", "pytest", `--junitxml=${report}`, ...paths], {
    cwd: WORKER,
  });
  return withExitStatus((await readReport(report, tallyOfJunit)) ?? CRASHED, status);
}

/** Reads a runner's report; undefined when it is missing or incomplete because the runner crashed. */
async function readReport<Report>(
  path: string,
  parse: (text: string) => Report,
): Promise<Report | undefined> {
  try {
    return parse(await readFile(path, "utf8"));
  } catch {
    return undefined;
  }
}

function conclude(tally: Tally, flaky: readonly string[], inCi: boolean): number {
  if (tally.skipped.length > 0) {
    process.stdout.write(`\nSkipped:\n${tally.skipped.map((line) => `  ${line}\n`).join("")}`);
    if (inCi) process.stdout.write("In CI nothing may be skipped.\n");
  }
  if (flaky.length > 0) {
    process.stdout.write("\nFailed beside other tests and passed by themselves; each is a race to mend:\n");
    for (const file of flaky) process.stdout.write(`flaky: ${file}\n`);
  }
  process.stdout.write(`\n${tallyLine(tally)}\n`);
  return tallyFails(tally, inCi) ? 1 : 0;
}

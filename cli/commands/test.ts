import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { repeatFailed } from "../testing/repeats.ts";
import {
  type FileTallies,
  sumOf,
  type Tally,
  talliesOfJunit,
  tallyFails,
  tallyLine,
  withExitStatus,
} from "../testing/tally.ts";
import { PYTHON, ROOT, runVisibly } from "../tools.ts";

const WORKER = join(ROOT, "worker");
/** Runs the test files of one language that match the filters; reports are written into the directory `reports`. */
type Runner = (filters: readonly string[], reports: string) => Promise<FileTallies>;

const WORKER_FILTER = /^(\.\/)?worker\//;

/** `./airlock test` runs the tests of the services and of the worker, then prints one line of totals. */
export async function test(filters: readonly string[]): Promise<number> {
  const forWorker = filters.filter((filter) => WORKER_FILTER.test(filter));
  const forServices = filters.filter((filter) => !WORKER_FILTER.test(filter));
  const reports = await mkdtemp(join(tmpdir(), "airlock-tests-"));
  try {
    const tallies: Tally[] = [];
    const flaky: string[] = [];
    const suites: [Runner, readonly string[]][] = [
      [runVitest, forServices],
      [runPytest, forWorker],
    ];
    for (const [run, own] of suites) {
      if (filters.length > 0 && own.length === 0) continue;
      const repeated = await repeatFailed(await run(own, reports), (file) => runAgain(run, file, reports));
      tallies.push(repeated.tally);
      flaky.push(...repeated.flaky);
    }
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
  return withExitStatus(tallies, status);
}

/** Runs one test file a second time, by itself, after it failed while other files ran at the same time. */
async function runAgain(run: Runner, file: string, reports: string): Promise<Tally> {
  process.stdout.write(`\nOnce more, by itself: ${file}\n`);
  const { files, errorsOutside } = await run([file], reports);
  const tally = sumOf(Object.values(files));
  return { ...tally, failed: tally.failed + errorsOutside };
}

async function runPytest(filters: readonly string[], reports: string): Promise<FileTallies> {
  const report = join(reports, "pytest.xml");
  await rm(report, { force: true });
  const paths = filters.map((filter) => filter.replace(WORKER_FILTER, ""));
  const options = ["-o", "junit_family=xunit1", `--junitxml=${report}`];
  const status = await runVisibly([PYTHON, "-m", "pytest", ...options, ...paths], { cwd: WORKER });
  const { files, errorsOutside } = withExitStatus(await readReport(report, talliesOfJunit), status);
  // pytest gives paths from worker/ on. They are changed to paths from the top of the repository, as vitest
  // and the filters have them.
  const named = Object.entries(files).map(([file, tally]) => [`worker/${file}`, tally] as const);
  return { files: Object.fromEntries(named), errorsOutside };
}

/** Reads a runner's report. A report that is missing or incomplete because the runner crashed is one error. */
async function readReport(path: string, parse: (text: string) => FileTallies): Promise<FileTallies> {
  try {
    return parse(await readFile(path, "utf8"));
  } catch {
    return { files: {}, errorsOutside: 1 };
  }
}

function conclude(tally: Tally, flaky: readonly string[], inCi: boolean): number {
  if (tally.skipped.length > 0) {
    process.stdout.write(`\nSkipped:\n${tally.skipped.map((line) => `  ${line}\n`).join("")}`);
    if (inCi) process.stdout.write("In CI nothing may be skipped.\n");
  }
  if (tally.failures.length > 0) {
    process.stdout.write(`\nFailed:\n${tally.failures.map((line) => `  ${line}\n`).join("")}`);
  }
  if (flaky.length > 0) {
    process.stdout.write("\nFailed beside other tests and passed by themselves; each is a race to mend:\n");
    for (const file of flaky) process.stdout.write(`flaky: ${file}\n`);
  }
  process.stdout.write(`\n${tallyLine(tally)}\n`);
  return tallyFails(tally, inCi) ? 1 : 0;
}

import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  type FileTallies,
  sumOf,
  type Tally,
  talliesOfJunit,
  tallyFails,
  tallyLine,
  withExitStatus,
} from "../../../cli/testing/tally.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");

const FIXTURE = `
import { describe, expect, it } from "vitest";
it("passes", () => {});
it("fails", () => expect(1).toBe(2));
it.skip("is skipped", () => {});
it("skips itself", (context) => context.skip("needs a Docker engine"));
it.todo("later");
describe.skipIf("no PostgreSQL")("a group (of two) (no PostgreSQL (15): initdb is not on PATH)", () => {
  describe("within", () => {
    it("waits", () => {});
  });
});
it.skipIf(true)("needs more (only root may)", () => {});
`;

/** The reporter's tally of these test files, which a separate vitest runs. */
async function reported(
  files: Record<string, string>,
): Promise<{ tallies: FileTallies; tally: Tally; exitStatus: number }> {
  const directory = await mkdtemp(join(tmpdir(), "airlock-tally-"));
  try {
    await symlink(join(ROOT, "node_modules"), join(directory, "node_modules"));
    await mkdir(join(directory, "test"));
    for (const [name, text] of Object.entries(files)) await writeFile(join(directory, "test", name), text);
    const report = join(directory, "tally.json");
    const vitest = join(ROOT, "node_modules", "vitest", "vitest.mjs");
    const args = [
      vitest,
      "run",
      "--root",
      directory,
      `--reporter=${join(ROOT, "cli", "testing", "reporter.ts")}`,
    ];
    const env = { ...process.env, AIRLOCK_TEST_TALLY: report };
    const exitStatus = await new Promise<number>((resolve) => {
      execFile(process.execPath, args, { env, cwd: directory }, (error) => resolve(Number(error?.code ?? 0)));
    });
    const tallies: FileTallies = JSON.parse(await readFile(report, "utf8"));
    return { tallies, tally: sumOf(Object.values(tallies.files)), exitStatus };
  } finally {
    await rm(directory, { recursive: true });
  }
}

describe("the tally of vitest", () => {
  it("the tally of vitest counts every test once and says why some were skipped", async () => {
    const { tally, exitStatus } = await reported({ "a.test.ts": FIXTURE });
    expect(tally).toEqual({
      passed: 1,
      failed: 1,
      failures: ["test/a.test.ts > fails: expected 1 to be 2 // Object.is equality"],
      skipped: [
        "test/a.test.ts > is skipped: no reason given",
        "test/a.test.ts > skips itself: needs a Docker engine",
        "test/a.test.ts > later: not written yet",
        "test/a.test.ts > a group (of two) (no PostgreSQL (15): initdb is not on PATH) > within > waits: no PostgreSQL (15): initdb is not on PATH",
        "test/a.test.ts > needs more (only root may): only root may",
      ],
    });
    expect(exitStatus).toBe(1);
  });

  it("the tally of vitest counts a file that does not load, and an error outside of tests, as failures", async () => {
    const broken = 'throw new Error("does not load");';
    const stray = 'import { it } from "vitest"; it("passes", () => { Promise.reject(new Error("stray")); });';
    const { tallies, exitStatus } = await reported({ "broken.test.ts": broken, "stray.test.ts": stray });
    expect(tallies).toEqual({
      files: {
        "test/broken.test.ts": {
          passed: 0,
          failed: 1,
          failures: ["test/broken.test.ts > the file itself: does not load"],
          skipped: [],
        },
        "test/stray.test.ts": { passed: 1, failed: 0, failures: [], skipped: [] },
      },
      errorsOutside: 1,
    });
    expect(exitStatus).toBe(1);
  });
});

describe("the tally of pytest", () => {
  it("the tally of pytest counts failures and errors as failed, and skips and expected failures as skipped", async () => {
    const xml = await readFile(join(import.meta.dirname, "pytest-report.xml"), "utf8");
    expect(talliesOfJunit(xml)).toEqual({
      files: {
        "tests/test_a.py": {
          passed: 1,
          failed: 2,
          failures: [
            "worker/tests/test_a.py > test_fails: assert 1 == 2",
            'worker/tests/test_a.py > test_errors: failed on setup with "RuntimeError: x"',
          ],
          skipped: ["tests.test_a.test_skipped: needs gVisor", "tests.test_a.test_xfail: known"],
        },
        "tests/test_b.py": { passed: 1, failed: 0, failures: [], skipped: [] },
        "tests/test_c.py": {
          passed: 0,
          failed: 1,
          failures: ["worker/tests/test_c.py > tests.test_c: collection failure"],
          skipped: [],
        },
      },
      errorsOutside: 0,
    });
  });
});

describe("the last line", () => {
  const tally = (passed: number, failed: number, ...skipped: string[]): Tally => ({
    passed,
    failed,
    failures: [],
    skipped,
  });

  it("the last line of a test run sums all runners and names skips only if there are any", () => {
    expect(tallyLine(sumOf([tally(3, 0), tally(4, 1)]))).toBe("7 passed, 1 failed");
    expect(tallyLine(sumOf([tally(3, 0, "x"), tally(4, 1, "y")]))).toBe("7 passed, 1 failed, 2 skipped");
  });

  it("the last line of a test run counts a runner that ended badly without a failed test", () => {
    const tallies = (failed: number, errorsOutside: number) => ({
      files: { "a.test.ts": tally(3, failed) },
      errorsOutside,
    });
    expect(withExitStatus(tallies(0, 0), 5)).toEqual(tallies(0, 1));
    expect(withExitStatus(tallies(0, 0), null)).toEqual(tallies(0, 1));
    expect(withExitStatus(tallies(2, 0), 1)).toEqual(tallies(2, 0));
    expect(withExitStatus(tallies(0, 0), 0)).toEqual(tallies(0, 0));
  });

  it("the last line of a test run means failure when a test failed, and in CI when one was skipped", () => {
    expect(tallyFails(tally(3, 0, "x"), false)).toBe(false);
    expect(tallyFails(tally(3, 0, "x"), true)).toBe(true);
    expect(tallyFails(tally(3, 1), false)).toBe(true);
  });
});

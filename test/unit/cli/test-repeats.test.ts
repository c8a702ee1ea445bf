import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { mayRepeat, repeatFailed } from "../../../cli/testing/repeats.ts";
import type { FileTallies, Tally } from "../../../cli/testing/tally.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");
const CHAOS = "test/chaos/chaos.test.ts";
const SOAK = "test/e2e/load/soak.test.ts";
const UNIT = "test/unit/cli/help.test.ts";

const tally = (passed: number, failed: number): Tally => ({
  passed,
  failed,
  failures: [],
  skipped: [],
});

/** Repeats what failed; `second` says what the second run of each file gives. */
async function repeated(first: FileTallies, second: Readonly<Record<string, Tally>>) {
  const runs: string[] = [];
  const result = await repeatFailed(first, async (file) => {
    runs.push(file);
    return second[file] ?? tally(0, 1);
  });
  return { ...result, runs };
}

describe("a failed test file", () => {
  it("a failed test file of a suite that breaks real things counts as its second run, and is named as flaky", async () => {
    const failed = { ...tally(3, 1), failures: ["the first time"] };
    const first = { files: { [CHAOS]: failed, [UNIT]: tally(9, 0) }, errorsOutside: 0 };
    const { tally: sum, flaky, runs } = await repeated(first, { [CHAOS]: tally(4, 0) });
    expect(sum).toEqual(tally(13, 0));
    expect(flaky).toEqual([CHAOS]);
    expect(runs).toEqual([CHAOS]);
  });

  it("a failed test file that fails twice has failed", async () => {
    const first = { files: { [SOAK]: tally(1, 1) }, errorsOutside: 0 };
    expect(await repeated(first, { [SOAK]: tally(0, 2) })).toMatchObject({ tally: tally(0, 2), flaky: [] });
  });

  it("a failed test file that runs no test the second time is not called flaky", async () => {
    const first = { files: { [SOAK]: tally(1, 1) }, errorsOutside: 0 };
    expect(await repeated(first, { [SOAK]: tally(0, 0) })).toMatchObject({ flaky: [] });
  });

  it("a failed test file of any other suite is not run again", async () => {
    const first = { files: { [UNIT]: tally(3, 1) }, errorsOutside: 0 };
    expect(await repeated(first, {})).toEqual({ tally: tally(3, 1), flaky: [], runs: [] });
  });

  it("a failed test file is not run again when many files failed", async () => {
    const names = ["a", "b", "c", "d", "e"].map((name) => `test/chaos/${name}.test.ts`);
    const first = { files: Object.fromEntries(names.map((name) => [name, tally(0, 1)])), errorsOutside: 0 };
    expect(await repeated(first, {})).toEqual({ tally: tally(0, 5), flaky: [], runs: [] });
  });

  it("a failed test file does not hide an error outside of all tests", async () => {
    const first = { files: { [CHAOS]: tally(0, 1) }, errorsOutside: 1 };
    expect((await repeated(first, { [CHAOS]: tally(1, 0) })).tally).toEqual({
      ...tally(1, 1),
      failures: ["errors outside of all tests: 1"],
    });
  });
});

describe("the suites that may be repeated", () => {
  it("the suites that may be repeated are those of chaos, network faults, soak, load, floods, containers and connections", async () => {
    const files = await readdir(join(ROOT, "test"), { recursive: true });
    const paths = files.map((file) => `test/${file}`).filter((file) => file.endsWith(".test.ts"));
    for (const one of [
      CHAOS,
      "test/chaos/chaos-docker.test.ts",
      SOAK,
      "test/e2e/docker/compose.test.ts",
      "test/e2e/docker/docker-life.test.ts",
      "test/e2e/load/bench.test.ts",
      "test/e2e/load/floods-of-pools.test.ts",
      "test/e2e/rest/rest-contract-docker.test.ts",
      "test/integration/pool-manager/docker-owner.test.ts",
      "test/integration/faults/network-faults.test.ts",
      "test/integration/router/two-routers.test.ts",
      "test/security/hostile-docker.test.ts",
    ]) {
      expect(paths).toContain(one);
      expect(mayRepeat(one), one).toBe(true);
    }
    const others = paths.filter((file) => !mayRepeat(file));
    expect(others).toEqual(
      expect.arrayContaining([
        UNIT,
        "test/e2e/scripts/numbers.test.ts",
        "test/security/hostile-root.test.ts",
      ]),
    );
    expect(mayRepeat("worker/tests/service/test_tunnels.py")).toBe(true);
    expect(mayRepeat("worker/tests/scripts/test_determinism.py")).toBe(false);
    expect(mayRepeat("worker/tests/sandbox/test_hostile.py")).toBe(false);
  });
});

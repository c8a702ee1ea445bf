import { describe, expect, it } from "vitest";
import { BROKERED_SECRETS } from "../cases/brokered.ts";
import type { HostileCase } from "../cases/cases.ts";
import { DATA } from "../cases/data.ts";
import { DESCRIPTORS } from "../cases/descriptors.ts";
import { FILES } from "../cases/files.ts";
import { WITH_NETWORK } from "../cases/network-listed.ts";
import { WITHOUT_NETWORK } from "../cases/network-none.ts";
import { REQUESTS } from "../cases/network-requests.ts";
import { PROCESSES } from "../cases/processes.ts";
import { RESOURCES } from "../cases/resources.ts";
import { PLACES } from "../cases/secret-places.ts";
import { CUT, SPELLED } from "../cases/secrets.ts";
import { SHARED_FILES } from "../cases/shared-files.ts";
import { SYSTEM_CALLS } from "../cases/system-calls.ts";
import { type HostileHarness, untilIdle } from "./hostile-harness.ts";
import { expectItsEnd, runCase } from "./run-case.ts";

const GROUPS: readonly (readonly [string, readonly HostileCase[]])[] = [
  ["resources", RESOURCES],
  ["processes", [...PROCESSES, ...DESCRIPTORS, ...SYSTEM_CALLS]],
  ["files", [...FILES, ...SHARED_FILES]],
  ["data", DATA],
  ["secrets", [...SPELLED, ...CUT, ...PLACES, ...BROKERED_SECRETS]],
  ["network", [...WITHOUT_NETWORK, ...WITH_NETWORK, ...REQUESTS]],
];

/** Defines a test for every case; `hereOf` adapts a case to this harness, where it ends in another way. */
export function runGroups(
  harness: () => HostileHarness,
  hereOf: (hostile: HostileCase) => HostileCase = (hostile) => hostile,
): void {
  describe.each(GROUPS)("hostile scripts: %s", (_, cases) => {
    // A loop instead of `it.each`, because `it.each` cuts long names in titles.
    for (const hostile of cases.map(hereOf)) {
      it(`the hostile script "${hostile.name}" ends as it should and leaves no trace`, {
        timeout: 90_000,
      }, async () => {
        const { rest } = harness();
        const before = await harness().longLived();
        const execution = await runCase(hostile, rest, harness());
        await hostile.afterwards?.(harness(), execution);
        await expectItsEnd(hostile, execution, rest);
        await expectTheSame(harness(), hostile, before);
        await expectNoGrowth(harness(), hostile);
      });
    }
  });
}

export async function expectNoGrowth(
  harness: HostileHarness,
  { project = "demo" }: Pick<HostileCase, "project">,
): Promise<void> {
  await expect.poll(() => harness.grown(project)).toEqual({});
}

/** Fails the test unless all long-lived processes still live, except the one worker that the script's end replaced. */
async function expectTheSame(
  { rest, longLived, ofWorker }: HostileHarness,
  { project = "demo", replacesWorker }: HostileCase,
  before: readonly (number | string)[],
): Promise<void> {
  if (!replacesWorker) return expect(await longLived()).toEqual(before);
  await untilIdle(rest, project);
  await expect.poll(async () => (await longLived()).length).toBe(before.length);
  const now = new Set(await longLived());
  const gone = before.filter((each) => !now.has(each)).length;
  expect(gone === 0 && replacesWorker === "perhaps" ? ofWorker : gone).toBe(ofWorker);
}

import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Account, accountMissing } from "../support/account.ts";
import { answers } from "../support/listeners.ts";
import { BROKERED_SECRETS } from "./brokered.ts";
import type { HostileCase } from "./cases.ts";
import { DATA } from "./data.ts";
import { DESCRIPTORS } from "./descriptors.ts";
import { FILES } from "./files.ts";
import {
  expectItsPosture,
  expectOnlyItsProcesses,
  expectRunsOfTheirOwn,
  expectStrictToBeObeyed,
} from "./grounds.ts";
import { type HostileStage, startHostileStage, untilIdle } from "./hostile-stage.ts";
import { leaksOf } from "./leaks.ts";
import { WITH_NETWORK } from "./network-listed.ts";
import { WITHOUT_NETWORK } from "./network-none.ts";
import { REQUESTS } from "./network-requests.ts";
import { BROKERED, PLANTED, ROTATED } from "./planted.ts";
import { expectItsEnd, play } from "./play.ts";
import { PROCESSES } from "./processes.ts";
import { RESOURCES } from "./resources.ts";
import { PLACES } from "./secret-places.ts";
import { CUT, SPELLED } from "./secrets.ts";
import { SYSTEM_CALLS } from "./system-calls.ts";
import { growth, longLived } from "./traces.ts";

const GROUPS: readonly (readonly [string, readonly HostileCase[]])[] = [
  ["resources", RESOURCES],
  ["processes", [...PROCESSES, ...DESCRIPTORS, ...SYSTEM_CALLS]],
  ["files", FILES],
  ["data", DATA],
  ["secrets", [...SPELLED, ...CUT, ...PLACES, ...BROKERED_SECRETS]],
  ["network", [...WITHOUT_NETWORK, ...WITH_NETWORK, ...REQUESTS]],
];
// Supervisor and zygote.
const PROCESSES_OF_A_WORKER = 2;

/** Every hostile script, over REST, against the real service that this account runs. */
export function hostileSuite(account: Account): void {
  const missing = accountMissing(account);
  describe.skipIf(missing)(`run by ${account.name}${missing ? ` (${missing})` : ""}`, () => {
    let stage: HostileStage;
    beforeAll(async () => {
      stage = await startHostileStage(account);
    });
    afterAll(() => stage?.close());

    it("the service has this account's rights and no others", () =>
      expectOnlyItsProcesses(stage.airlock.pid, account));
    it("its runs are the users that they should be", () => expectRunsOfTheirOwn(stage.airlock.pid, account));
    it("the layers around its runs are those that are expected of a full machine", () =>
      expectItsPosture(stage.rest, account));
    it("isolation: strict is obeyed", async () => {
      await expectStrictToBeObeyed(stage.rest);
      await stage.rest.post("/projects/strict/down", {});
      await expectNoGrowth(stage);
    });
    it("what its scripts must not reach answers from outside", () => expectToAnswer(stage));

    describe.each(GROUPS)("%s: a hostile script ends as it should and leaves no trace", (_, cases) => {
      // One by one: a name that `it.each` puts into a title is cut.
      for (const hostile of cases) {
        it(hostile.name, { timeout: 60_000 }, async () => {
          const before = await longLived(stage.airlock.pid);
          const execution = await play(hostile, stage.rest, stage);
          await hostile.afterwards?.(stage, execution);
          await expectItsEnd(hostile, execution, stage.rest);
          await expectSameProcesses(stage, hostile, before);
          await expectNoGrowth(stage);
        });
      }
    });

    it("no secret can be read in what is stored, logged or counted", () => expectNothingStored(stage));
  });
}

/** What no script reaches can be reached: otherwise the network's cases would show nothing. */
async function expectToAnswer({ airlock, listeners, outsiders, plain }: HostileStage): Promise<void> {
  const names = listeners.sockets.map((path) => basename(path, ".sock"));
  expect(names).toEqual(expect.arrayContaining(["secrets", "sanitizer", "egress", "pool-manager", "router"]));
  expect(names.filter((name) => name === "worker").length).toBeGreaterThan(5);
  expect(listeners.ports).toContain(Number(new URL(airlock.url).port));
  for (const path of [...listeners.sockets, `\0${outsiders.abstractName}`])
    expect(await answers({ path }), path).toBe(true);
  for (const port of [...listeners.ports, plain.port]) expect(await answers({ port })).toBe(true);
  expect(await outsiders.echoes()).toBe(true);
}

async function expectNoGrowth(stage: HostileStage): Promise<void> {
  await expect.poll(async () => growth(stage.atRest, await stage.traces())).toEqual({});
}

async function expectNothingStored({ airlock, rest }: HostileStage): Promise<void> {
  const secrets = { ...PLANTED, BROKERED, ...ROTATED };
  const texts: [string, string | Buffer][] = [["standard output", airlock.output()]];
  for (const path of ["/metrics", "/projects", "/executions?limit=100"])
    texts.push([path, await (await fetch(rest.url + path)).text()]);
  const files = await readdir(airlock.dataDirectory, { recursive: true, withFileTypes: true });
  // The environments hold Python packages only.
  for (const file of files.filter((each) => each.isFile() && !each.parentPath.includes("environments")))
    texts.push([file.name, await readFile(join(file.parentPath, file.name))]);
  expect(texts.map(([name]) => name)).toEqual(
    expect.arrayContaining(["airlock.db", "airlock.db-wal", "airlock.log"]),
  );
  expect(texts.flatMap(([name, text]) => leaksOf(text, secrets).map((secret) => [name, secret]))).toEqual([]);
}

async function expectSameProcesses(
  { airlock, rest }: HostileStage,
  { project = "demo", replacesWorker }: HostileCase,
  before: readonly number[],
): Promise<void> {
  if (!replacesWorker) return expect(await longLived(airlock.pid)).toEqual(before);
  await untilIdle(rest, project);
  await expect.poll(async () => (await longLived(airlock.pid)).length).toBe(before.length);
  const now = new Set(await longLived(airlock.pid));
  expect(now).toContain(airlock.pid);
  expect(before.filter((pid) => !now.has(pid))).toHaveLength(PROCESSES_OF_A_WORKER);
}

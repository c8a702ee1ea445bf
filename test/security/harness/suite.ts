import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WORKER_PORT } from "../../../services/pool-manager/drivers/docker/container.ts";
import { type Account, accountMissing } from "../../harness/account.ts";
import { answers } from "../../support/listeners.ts";
import { leaksOf } from "../cases/leaks.ts";
import { BROKERED, PLANTED, ROTATED } from "../cases/planted.ts";
import {
  expectItsPosture,
  expectOnlyItsProcesses,
  expectRunsOfTheirOwn,
  expectStrictToBeObeyed,
} from "./account-checks.ts";
import { expectNoGrowth, runGroups } from "./groups.ts";
import { type HostileHarness, startHostileHarness } from "./hostile-harness.ts";
import { onMachine } from "./on-machine.ts";

/** Defines the tests that run every hostile script over REST against an Airlock that this account runs. */
export function hostileSuite(account: Account): void {
  const missing = accountMissing(account);
  describe.skipIf(missing)(`run by ${account.name}${missing ? ` (${missing})` : ""}`, () => {
    let harness: HostileHarness;
    beforeAll(async () => {
      harness = await startHostileHarness(onMachine(account));
    });
    afterAll(() => harness?.close());

    it(`the service that ${account.name} runs has this account's rights and no others`, () =>
      expectOnlyItsProcesses(harness.airlock.pid, account));
    it(`the runs of a service of ${account.name} have the expected users`, () =>
      expectRunsOfTheirOwn(harness.airlock.pid, account));
    it(`the layers around the runs of ${account.name} are those that are expected of a full machine`, () =>
      expectItsPosture(harness.rest, account));
    it(`isolation: strict is obeyed by a service of ${account.name}`, async () => {
      await expectStrictToBeObeyed(harness.rest);
      await harness.rest.post("/projects/strict/down", {});
      await expectNoGrowth(harness, {});
    });
    it(`the hosts and sockets that scripts of ${account.name} must not reach answer from outside`, () =>
      expectToAnswer(harness));

    runGroups(() => harness);

    it(`no secret of hostile scripts of ${account.name} can be read in what is stored, logged or counted`, () =>
      expectNothingStored(harness));
  });
}

// The last entries of ADDRESSES are this machine's own addresses.
const OTHER_ADDRESSES = 3;

/**
 * Fails the test unless every target of the network cases answers from outside; otherwise those cases would prove
 * nothing.
 */
export async function expectToAnswer(harness: HostileHarness): Promise<void> {
  const { airlock, facts, listeners, outsiders, plain } = harness;
  const names = listeners.sockets.map((path) => basename(path, ".sock"));
  expect(names).toEqual(expect.arrayContaining(["secrets", "sanitizer", "egress", "pool-manager", "router"]));
  const addresses = (JSON.parse(facts.ADDRESSES ?? "") as string[]).slice(0, -OTHER_ADDRESSES);
  const workers = names.filter((name) => name === "worker").length + addresses.length;
  expect(workers).toBeGreaterThan(5);
  for (const host of addresses) expect(await answers({ host, port: WORKER_PORT }), host).toBe(true);
  expect(listeners.ports).toContain(Number(new URL(airlock.url).port));
  for (const path of [...listeners.sockets, `\0${outsiders.abstractName}`])
    expect(await answers({ path }), path).toBe(true);
  for (const port of [...listeners.ports, plain.port]) expect(await answers({ port })).toBe(true);
  expect(await outsiders.echoes()).toBe(true);
}

/** Fails the test if a secret is readable in the output, in REST responses or in the stored files. */
export async function expectNothingStored({ airlock, rest }: HostileHarness): Promise<void> {
  const secrets = { ...PLANTED, BROKERED, ...ROTATED };
  const texts: [string, string | Buffer][] = [["standard output", airlock.output()]];
  for (const path of ["/metrics", "/projects", "/executions?limit=100"])
    texts.push([path, await (await fetch(rest.url + path)).text()]);
  const files = await readdir(airlock.dataDirectory, { recursive: true, withFileTypes: true });
  // Files of the environments are skipped, because they hold Python packages only.
  for (const file of files.filter((each) => each.isFile() && !each.parentPath.includes("environments")))
    texts.push([file.name, await readFile(join(file.parentPath, file.name))]);
  expect(texts.map(([name]) => name)).toEqual(
    expect.arrayContaining(["airlock.db", "airlock.db-wal", "airlock.log"]),
  );
  expect(texts.flatMap(([name, text]) => leaksOf(text, secrets).map((secret) => [name, secret]))).toEqual([]);
}

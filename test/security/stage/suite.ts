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
} from "./grounds.ts";
import { expectNoGrowth, playGroups } from "./groups.ts";
import { type HostileStage, startHostileStage } from "./hostile-stage.ts";
import { onMachine } from "./on-machine.ts";

/** Every hostile script, over REST, against the real service that this account runs. */
export function hostileSuite(account: Account): void {
  const missing = accountMissing(account);
  describe.skipIf(missing)(`run by ${account.name}${missing ? ` (${missing})` : ""}`, () => {
    let stage: HostileStage;
    beforeAll(async () => {
      stage = await startHostileStage(onMachine(account));
    });
    afterAll(() => stage?.close());

    it(`the service that ${account.name} runs has this account's rights and no others`, () =>
      expectOnlyItsProcesses(stage.airlock.pid, account));
    it(`the runs of a service of ${account.name} have the expected users`, () =>
      expectRunsOfTheirOwn(stage.airlock.pid, account));
    it(`the layers around the runs of ${account.name} are those that are expected of a full machine`, () =>
      expectItsPosture(stage.rest, account));
    it(`isolation: strict is obeyed by a service of ${account.name}`, async () => {
      await expectStrictToBeObeyed(stage.rest);
      await stage.rest.post("/projects/strict/down", {});
      await expectNoGrowth(stage, {});
    });
    it(`the hosts and sockets that scripts of ${account.name} must not reach answer from outside`, () =>
      expectToAnswer(stage));

    playGroups(() => stage);

    it(`no secret of hostile scripts of ${account.name} can be read in what is stored, logged or counted`, () =>
      expectNothingStored(stage));
  });
}

// Of this machine.
const OTHER_ADDRESSES = 3;

/** What no script reaches can be reached: otherwise the network's cases would show nothing. */
export async function expectToAnswer(stage: HostileStage): Promise<void> {
  const { airlock, facts, listeners, outsiders, plain } = stage;
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

export async function expectNothingStored({ airlock, rest }: HostileStage): Promise<void> {
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

import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import {
  type DockerAirlock,
  describeWithEngine,
  RUNTIMES,
  startDockerAirlock,
} from "../../harness/docker/classes.ts";
import { type RestClient, restClient } from "../../harness/rest.ts";

// AIRLOCK_DETERMINISM_ROUNDS=48 makes some 2,000 runs in each class of containers.
const ROUNDS = Number(process.env.AIRLOCK_DETERMINISM_ROUNDS ?? 1);
const STARTS = 2;
const REPLICAS = 2;
const AT_ONCE = 24;
const HOUR_MS = 3_600_000;
// Another one for each container.
const WHERE = "import os; print(os.stat('/').st_ctime_ns)";
const DIRECTORY = join(import.meta.dirname, "..", "..", "..", "worker", "tests");
const READ =
  "import json, same_numbers; print(json.dumps([same_numbers.FOLLOWING_ADDRESSES, same_numbers.FOLLOWING_NONE]))";

type Scripts = Readonly<Record<string, string>>;

const { stdout } = await promisify(execFile)("python3", ["-c", READ], { cwd: DIRECTORY });
const [followingAddresses, followingNone] = JSON.parse(stdout) as [Scripts, Scripts];
const scripts = Object.entries({ ...followingAddresses, ...followingNone });
/** The results of the first class of containers, by script. */
const anywhere = new Map<string, string>();

for (const { runtime, line } of RUNTIMES) {
  await describeWithEngine(`in containers of ${runtime}`, runtime, () => {
    let airlock: DockerAirlock;
    let rest: RestClient;
    // gVisor lays out each of its processes at random.
    const same = Object.keys(
      runtime === "runsc" ? followingNone : { ...followingAddresses, ...followingNone },
    );
    /** By the name of a script, all that it has given. */
    const given = new Map<string, Set<string>>();

    const run = async ([name, code]: readonly [string, string]) => {
      const id = await rest.submit({ code, memory: { x: { y: [1] } } });
      const { llm_request: question } = await rest.settled(id);
      if (question) await rest.respond(id, "the answer", question.id);
      const body = await rest.settledText(id);
      expect(JSON.parse(body), name).toMatchObject({ status: "completed", error: null });
      const gave = body.slice(body.indexOf('"result":'), body.indexOf('"error":'));
      given.set(name, (given.get(name) ?? new Set()).add(gave));
    };

    beforeAll(async () => {
      const project = `${line}replicas: ${REPLICAS}\nsettings: {A: x}\nsecrets: {TOKEN: a-token-of-this-project}\n`;
      airlock = await startDockerAirlock({ projects: { demo: project } });
      rest = restClient(airlock.url);
      const workers = new Set<string>();
      for (let start = 0; start < STARTS; start += 1) {
        // Alone, as one of the first that its worker runs.
        for (const script of scripts) await run(script);
        const left = Array.from({ length: ROUNDS }, () => scripts).flat();
        while (left.length > 0) await Promise.all(left.splice(-AT_ONCE).map(run));
        const places = await Promise.all(Array.from({ length: AT_ONCE }, () => rest.run({ code: WHERE })));
        for (const { stdout } of places) workers.add(stdout);
        await rest.post("/projects/demo/down", {});
        const isDown = async () => (await airlock.traces()).containers.length === 0;
        await vi.waitUntil(isDown, { timeout: 60_000, interval: 100 });
      }
      expect(workers.size).toBe(STARTS * REPLICAS);
    }, HOUR_MS);
    afterAll(() => airlock?.remove(), HOUR_MS);

    it(`scripts in containers of ${runtime} compute the same bytes in every run, on every worker, first or later`, () => {
      const differing = same.filter((name) => given.get(name)?.size !== 1);
      expect(differing).toEqual([]);
    });

    it("scripts whose values follow no addresses compute the same bytes in both classes of containers", () => {
      for (const name of Object.keys(followingNone)) {
        const [gave = ""] = given.get(name) ?? [];
        expect(gave).toBe(anywhere.get(name) ?? gave);
        anywhere.set(name, gave);
      }
    });
  });
}

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type DockerAirlock, describeWithEngine, startDockerAirlock } from "../../harness/docker/classes.ts";
import { type RestClient, restClient } from "../../harness/rest.ts";

const SLOW = { timeout: 120_000 };
const OPTIONS = {
  projects: { demo: "replicas: 1\n" },
  env: { AIRLOCK_DEPLOYMENT: `twice-${process.pid}` },
};

await describeWithEngine("two Airlocks of the same name on one engine", "runc", () => {
  let first: DockerAirlock;
  let second: DockerAirlock | undefined;
  let rest: RestClient;
  beforeAll(async () => {
    first = await startDockerAirlock(OPTIONS);
    rest = restClient(first.url);
    await rest.run({ code: "pass" });
  }, SLOW.timeout);
  afterAll(async () => {
    await second?.remove();
    await first?.remove();
  });
  const containers = async () => (await first.traces()).containers.map(({ Id }) => Id);

  it(
    "a second Airlock of the same name on one engine says why it does not start, and leaves the first one's containers alone",
    SLOW,
    async () => {
      const before = await containers();
      const id = await rest.submit({ code: "import time; time.sleep(8); set_result('undisturbed')" });
      // Were it to take over, it would remove containers that are not as its own project file says.
      const directory = await mkdtemp(join(tmpdir(), "airlock-e2e-"));
      const other = { ...OPTIONS, directory, projects: { demo: "limits: {memory_mb: 300}\n" } };
      await expect(startDockerAirlock(other)).rejects.toThrow(
        /Another pool-manager \(process \d+ on .*\) manages the deployment "twice-\d+" on this Docker engine; stop it/,
      );
      await rm(directory, { recursive: true });
      expect(await rest.settled(id)).toMatchObject({ status: "completed", result: "undisturbed" });
      expect(await containers()).toEqual(before);
    },
  );

  it(
    "a second Airlock of the same name on one engine starts when the first was killed, and takes its containers over",
    SLOW,
    async () => {
      const before = await containers();
      await first.kill();
      second = await startDockerAirlock(OPTIONS);
      const other = restClient(second.url);
      await expect.poll(async () => (await other.project("demo")).idle_workers).toBe(1);
      expect((await other.run({ code: "set_result(1)" })).result).toBe(1);
      expect(await containers()).toEqual(before);
    },
  );
});

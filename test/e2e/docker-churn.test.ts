import { afterAll, beforeAll, expect, it } from "vitest";
import { type DockerAirlock, describeWithEngine, docker, startDockerAirlock } from "../support/docker.ts";
import { type RestClient, restClient } from "../support/rest.ts";

const CYCLES = 100;
const SLOW = { timeout: 600_000 };

await describeWithEngine("workers in containers that come and go", "runc", () => {
  let airlock: DockerAirlock;
  let rest: RestClient;
  let volumes: number;
  const volumeCount = async () => (await docker.listVolumes()).Volumes?.length ?? 0;

  beforeAll(async () => {
    airlock = await startDockerAirlock({ projects: { demo: "replicas: 2\n" } });
    rest = restClient(airlock.url);
    await rest.run({ code: "pass" });
    volumes = await volumeCount();
  }, SLOW.timeout);
  afterAll(() => airlock?.remove());

  const leavesNothing = async () => {
    await rest.post("/projects/demo/down", {});
    await expect.poll(airlock.traces, { timeout: 60_000 }).toEqual({ containers: [], networks: [] });
    expect(await volumeCount()).toBe(volumes);
    expect(await rest.project("demo")).toMatchObject({
      status: "down",
      running: 0,
      paused: 0,
      queue_depth: 0,
    });
  };

  it(`${CYCLES} times up and down leave nothing, and each time the script runs`, SLOW, async () => {
    for (let cycle = 0; cycle < CYCLES; cycle++) {
      expect((await rest.run({ code: `set_result(${cycle})` })).result).toBe(cycle);
      await rest.post("/projects/demo/down", {});
    }
    await leavesNothing();
  });
});

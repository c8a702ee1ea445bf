import { afterAll, beforeAll, expect, it } from "vitest";
import { type DockerAirlock, describeWithEngine, docker, startDockerAirlock } from "../support/docker.ts";
import { type RestClient, restClient } from "../support/rest.ts";

const [CYCLES, KILLS] = [100, 20];
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

  it(`${KILLS} killed containers: every execution ends once, and nothing is left`, SLOW, async () => {
    const endings = new Map<string, string | null>();
    let stopped = false;
    const client = async () => {
      while (!stopped) {
        const id = await rest.submit({ code: "import time; time.sleep(0.1)" });
        endings.set(id, null);
        endings.set(id, (await rest.settled(id)).end_reason);
      }
    };
    const clients = Promise.all([client(), client(), client()]);
    for (let kill = 0; kill < KILLS; kill++) {
      const alive = async () =>
        (await airlock.traces()).containers.filter(({ State }) => State === "running").map(({ Id }) => Id);
      await expect.poll(async () => (await alive()).length, { timeout: 60_000 }).toBeGreaterThan(0);
      const [id = ""] = await alive();
      // It may have gone in this moment.
      await docker
        .getContainer(id)
        .kill()
        .catch(() => undefined);
    }
    stopped = true;
    await clients;
    const reasons = [...endings.values()];
    expect(
      reasons.filter((reason) => !["completed", "worker_lost", "start_failed"].includes(`${reason}`)),
    ).toEqual([]);
    expect(reasons).toContain("completed");
    for (const [id, reason] of endings) expect((await rest.get(id)).end_reason).toBe(reason);
    await leavesNothing();
  });
});

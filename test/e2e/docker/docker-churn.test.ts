import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import {
  type DockerAirlock,
  describeWithEngine,
  docker,
  startDockerAirlock,
} from "../../harness/docker/classes.ts";
import { type RestClient, restClient } from "../../harness/rest.ts";

const CYCLES = 100;
const KILLS = 20;
const CLIENTS = 4;
const SEED = Number(process.env.AIRLOCK_TEST_SEED ?? Date.now() % 1_000_000);
const SLOW = { timeout: 600_000 };

await describeWithEngine("workers in containers that come and go", "runc", () => {
  let airlock: DockerAirlock;
  let rest: RestClient;
  let volumes: string[];

  beforeAll(async () => {
    airlock = await startDockerAirlock({ projects: { demo: "replicas: 2\n" } });
    rest = restClient(airlock.url);
    await rest.run({ code: "pass" });
    volumes = await airlock.volumes();
  }, SLOW.timeout);
  afterAll(() => airlock?.remove());

  const leavesNothing = async () => {
    await rest.post("/projects/demo/down", {});
    await expect.poll(airlock.traces, { timeout: 60_000 }).toEqual({ containers: [], networks: [] });
    expect((await airlock.volumes()).sort()).toEqual(volumes.sort());
    expect(await rest.project("demo")).toMatchObject({
      status: "down",
      running: 0,
      paused: 0,
      queue_depth: 0,
    });
  };

  it(
    `a project that goes up and down ${CYCLES} times leaves nothing, and its script runs each time`,
    SLOW,
    async () => {
      for (let cycle = 0; cycle < CYCLES; cycle++) {
        expect((await rest.run({ code: `set_result(${cycle})` })).result).toBe(cycle);
        await rest.post("/projects/demo/down", {});
      }
      await leavesNothing();
    },
  );

  it(
    `${KILLS} containers killed by hand lose the runs in them and nothing else (seed ${SEED})`,
    SLOW,
    async () => {
      process.stdout.write(`containers are killed with AIRLOCK_TEST_SEED=${SEED}\n`);
      const random = randomOf(SEED);
      const submitted: string[] = [];
      let over = false;
      const client = async () => {
        while (!over) {
          const code = `import time; time.sleep(${(random() * 0.6).toFixed(2)}); set_result(${submitted.length})`;
          const id = await rest.submit({ code });
          submitted.push(id);
          await rest.settled(id);
        }
      };
      const clients = Array.from({ length: CLIENTS }, client);
      const isServing = async () => {
        const { idle_workers, running } = await rest.project("demo");
        return Number(idle_workers) + Number(running) > 0;
      };
      for (let kills = 0; kills < KILLS; ) {
        await sleep(random() * 1_000);
        // Four starts in a row that are cut short would be a reason to give up.
        await expect.poll(isServing, { timeout: 60_000 }).toBe(true);
        const running = (await airlock.traces()).containers.filter(({ State }) => State === "running");
        const chosen = running[Math.floor(random() * running.length)];
        if (!chosen) continue;
        const container = docker.getContainer(chosen.Id);
        const harm = random() < 0.5 ? container.kill() : container.remove({ force: true });
        // Unless it went by itself in this moment.
        kills += await harm.then(
          () => 1,
          () => 0,
        );
        // Workers that die young are replaced more and more slowly, until `up` resets the delay.
        await rest.post("/projects/demo/up", { replicas: 2 });
      }
      over = true;
      await Promise.all(clients);
      const executions = await Promise.all(submitted.map((id) => rest.get(id)));
      const endings = executions.map(({ end_reason }) => end_reason);
      const lost = executions.filter(({ end_reason }) => end_reason === "worker_lost");
      expect(endings.filter((reason) => reason !== "completed" && reason !== "worker_lost")).toEqual([]);
      // A worker runs one at a time, and what had not begun is run by another worker.
      expect(lost.length).toBeLessThanOrEqual(KILLS);
      expect(lost.filter(({ execution_time_ms }) => execution_time_ms === null)).toEqual([]);
      expect(executions.length).toBeGreaterThan(lost.length);
      // Ended is ended: the same a moment later.
      expect(
        (await Promise.all(submitted.map((id) => rest.get(id)))).map(({ end_reason }) => end_reason),
      ).toEqual(endings);
      expect((await rest.run({ code: "set_result(1)" })).result).toBe(1);
      await leavesNothing();
    },
  );
});

/** A generator of numbers from 0 to 1, the same for the same seed (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

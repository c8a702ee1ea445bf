import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import {
  type DockerAirlock,
  describeWithEngine,
  docker,
  startDockerAirlock,
} from "../../harness/docker/classes.ts";
import { type RestClient, restClient } from "../../harness/rest.ts";

const FAST = { timeout: 20_000 };

await describeWithEngine("the life of a worker's container", "runc", () => {
  let airlock: DockerAirlock;
  let rest: RestClient;
  const containers = async () => (await airlock.traces()).containers;
  const only = async () => {
    await expect.poll(containers, FAST).toHaveLength(1);
    return (await containers())[0]?.Id as string;
  };
  const running = async (code: string) => {
    const id = await rest.submit({ code, timeout: 60 });
    await expect.poll(async () => (await rest.get(id)).stdout, FAST).toBe("on\n");
    return id;
  };
  const WAITS = "import time\nprint('on', flush=True)\ntime.sleep(50)";

  beforeAll(async () => {
    airlock = await startDockerAirlock({ projects: { demo: "replicas: 1\n" } });
    rest = restClient(airlock.url);
    await rest.run({ code: "pass" });
  }, 180_000);
  afterAll(() => airlock?.remove());

  it.each([
    ["is killed", (id: string) => docker.getContainer(id).kill()],
    ["is removed by hand", (id: string) => docker.getContainer(id).remove({ force: true })],
    ["is stopped by hand", (id: string) => docker.getContainer(id).stop({ t: 0 })],
  ])("a worker's container that %s loses its execution and is replaced", async (_, harm) => {
    const before = await only();
    const id = await running(WAITS);
    await harm(before);
    const lost = await rest.settled(id);
    expect([lost.status, lost.end_reason]).toEqual(["error", "worker_lost"]);
    expect((await rest.run({ code: "set_result(1)" })).result).toBe(1);
    expect(await only()).not.toBe(before);
  });

  it("a worker's container that the pool stops is removed, and then its network", async () => {
    await fetch(`${airlock.url}/projects/demo/down`, { method: "POST" });
    await expect.poll(airlock.traces, FAST).toEqual({ containers: [], networks: [] });
    expect((await rest.run({ code: "set_result(2)" })).result).toBe(2);
    expect(await containers()).toHaveLength(1);
    expect((await airlock.traces()).networks).toHaveLength(1);
  });

  it("a worker's container that outlives a crash is taken over, and its runs go on", async () => {
    await rest.run({ code: "pass" });
    const before = await only();
    const id = await running(
      "import time\nprint('on', flush=True)\ntime.sleep(3)\nfor n in range(30):\n    print(n, flush=True)\n    time.sleep(0.3)\nset_result(llm.complete('?'))",
    );
    await airlock.kill();
    expect(await only()).toBe(before);
    airlock = await airlock.restart();
    rest = restClient(airlock.url);
    expect((await rest.settled(id)).status).toBe("awaiting_llm");
    await rest.respond(id, "an answer");
    expect(await rest.settled(id)).toMatchObject({
      status: "completed",
      stdout: ["on", ...Array.from({ length: 30 }, (_, n) => n), ""].join("\n"),
      result: "an answer",
    });
    await expect.poll(async () => (await rest.project("demo")).idle_workers, FAST).toBe(1);
    expect((await rest.run({ code: "set_result(3)" })).result).toBe(3);
    expect(await only()).toBe(before);
  });

  it("a worker's container with a paused run, or with a run that outlasts a normal stop, is left to the next start", {
    timeout: 90_000,
  }, async () => {
    const before = await only();
    const paused = await rest.submit({ code: "set_result(llm.complete('?'))", timeout: 60 });
    expect((await rest.settled(paused)).status).toBe("awaiting_llm");
    const id = await running(
      "import time\nprint('on', flush=True)\ntime.sleep(3)\nfor n in range(60):\n    print(n, flush=True)\n    time.sleep(0.3)\nset_result(1)",
    );
    expect(await airlock.stop()).toBe(0);
    expect(await only()).toBe(before);
    airlock = await airlock.restart();
    rest = restClient(airlock.url);
    expect(await rest.settled(id)).toMatchObject({
      end_reason: "completed",
      stdout: ["on", ...Array.from({ length: 60 }, (_, n) => n), ""].join("\n"),
    });
    expect((await rest.get(paused)).status).toBe("awaiting_llm");
    await rest.respond(paused, "an answer");
    expect(await rest.settled(paused)).toMatchObject({ end_reason: "completed", result: "an answer" });
  });

  it("a worker's container keeps its paused execution while Airlock is away for longer than the minute of a running one", {
    timeout: 150_000,
  }, async () => {
    const before = await only();
    const paused = await rest.submit({ code: "set_result(llm.complete('?'))", timeout: 60 });
    expect((await rest.settled(paused)).status).toBe("awaiting_llm");
    expect(await airlock.stop()).toBe(0);
    await sleep(65_000);
    expect(await only()).toBe(before);
    airlock = await airlock.restart();
    rest = restClient(airlock.url);
    await rest.respond(paused, "an answer");
    expect(await rest.settled(paused)).toMatchObject({ end_reason: "completed", result: "an answer" });
  });

  it("a worker's container that outlives a crash and does not fit its project any more goes when its runs have ended", async () => {
    const before = await only();
    const id = await rest.submit({ code: "set_result(llm.complete('?'))", timeout: 60 });
    expect((await rest.settled(id)).status).toBe("awaiting_llm");
    await airlock.kill();
    await writeFile(join(airlock.projectsDirectory, "demo.yaml"), "name: demo\nlimits: {memory_mb: 300}\n");
    airlock = await airlock.restart();
    rest = restClient(airlock.url);
    expect((await rest.run({ code: "set_result(4)" })).result).toBe(4);
    expect((await containers()).map(({ Id }) => Id)).toContain(before);
    await rest.respond(id, "an answer");
    expect(await rest.settled(id)).toMatchObject({ end_reason: "completed", result: "an answer" });
    const after = await only();
    expect(after).not.toBe(before);
    const { HostConfig } = await docker.getContainer(after).inspect();
    expect(HostConfig.Memory).toBe((300 + 256 + 256) * 1024 * 1024);
  });

  it("a normal stop leaves no container, network or volume in the engine", async () => {
    await rest.run({ code: "pass" });
    expect(await airlock.stop()).toBe(0);
    expect(await airlock.traces()).toEqual({ containers: [], networks: [] });
  });
});

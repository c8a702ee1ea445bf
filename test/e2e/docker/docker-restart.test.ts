import { setTimeout as sleep } from "node:timers/promises";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { superviseContainer } from "../../../services/pool-manager/drivers/docker/worker.ts";
import { startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { DOCKER_ENVIRONMENT } from "../../harness/docker/classes.ts";
import {
  type PrivateEngine,
  privateEngineMissing,
  startPrivateEngine,
} from "../../harness/docker/private-engine.ts";
import { type RestClient, restClient } from "../../harness/rest.ts";

const BASE = "python:3.12-slim";
const NAME = "an engine that is restarted";
const log = pino({ level: "silent" });
const missing = await privateEngineMissing();
const SLOW = { timeout: 120_000 };

const tests = () => {
  let engine: PrivateEngine;
  let airlock: TestAirlock;
  let rest: RestClient;
  beforeAll(async () => {
    engine = await startPrivateEngine(BASE);
    airlock = await startAirlock({
      projects: { demo: "replicas: 1\n" },
      env: { ...DOCKER_ENVIRONMENT, DOCKER_HOST: engine.host },
    });
    rest = restClient(airlock.url);
  }, SLOW.timeout);
  afterAll(async () => {
    await airlock?.remove();
    await engine?.close();
  }, SLOW.timeout);

  it(
    "a restart of the Docker engine loses the run that it ends, and the next one runs when the engine is back",
    SLOW,
    async () => {
      expect((await rest.run({ code: "set_result(1)" })).result).toBe(1);
      const id = await rest.submit({
        code: "import time\nprint('on', flush=True)\ntime.sleep(90)",
        timeout: 100,
      });
      await expect.poll(async () => (await rest.get(id)).stdout, SLOW).toBe("on\n");
      await engine.stop();
      const lost = await rest.settled(id);
      expect([lost.status, lost.end_reason]).toEqual(["error", "worker_lost"]);
      await engine.start();
      await expect.poll(async () => (await rest.run({ code: "set_result(2)" })).result, SLOW).toBe(2);
      await expect.poll(() => engine.docker.listContainers({ all: true })).toHaveLength(1);
    },
  );

  it("a Docker engine that had died reports when it is back whose containers ended with it", {
    timeout: 50_000,
  }, async () => {
    const container = await engine.docker.createContainer({
      Image: BASE,
      Cmd: ["sleep", "100"],
      HostConfig: { NetworkMode: "none", Init: true },
    });
    await container.start();
    const { gone, removed } = await superviseContainer(engine.docker, container, "none", log);
    // By then it has been asked to tell, and has begun to answer.
    await sleep(1_000);
    await engine.kill();
    await engine.start();
    expect(await gone).toBe("exited with status 143");
    await removed;
    await expect.poll(async () => (await rest.run({ code: "set_result(4)" })).result, SLOW).toBe(4);
  });

  it(
    "while the Docker engine is away, executions end with the reason, and Airlock stops normally",
    SLOW,
    async () => {
      await engine.stop();
      await expect
        .poll(async () => (await rest.run({ code: "pass" })).error, SLOW)
        .toContain("The Docker engine cannot be reached");
      await engine.start();
      await expect.poll(async () => (await rest.run({ code: "set_result(3)" })).result, SLOW).toBe(3);
      expect(await airlock.stop()).toBe(0);
      expect(await engine.docker.listContainers({ all: true })).toEqual([]);
    },
  );
};

if (missing) describe(NAME, () => it("a killed Docker engine recovers", (context) => context.skip(missing)));
else describe(NAME, tests);

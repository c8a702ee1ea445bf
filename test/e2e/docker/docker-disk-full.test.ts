import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { DOCKER_ENVIRONMENT, docker } from "../../harness/docker/classes.ts";
import {
  type PrivateEngine,
  privateEngineMissing,
  startPrivateEngine,
} from "../../harness/docker/private-engine.ts";
import { type RestClient, restClient } from "../../harness/rest.ts";

const NAME = "an engine whose disk is full";
const BASE = "python:3.12-slim";
const MIB = 1024 * 1024;
const missing = await privateEngineMissing();
const SLOW = { timeout: 240_000 };

const tests = () => {
  let engine: PrivateEngine;
  let airlock: TestAirlock;
  let rest: RestClient;
  beforeAll(async () => {
    // The image as it is loaded and unpacked, and all that is built on it.
    const { Size } = await docker.getImage(BASE).inspect();
    engine = await startPrivateEngine(BASE, { diskBytes: Size * 3 + 1_024 * MIB });
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
    "a full disk of the Docker engine is reported when an image cannot be built; the image is built when there is space",
    SLOW,
    async () => {
      // Enough for the first small steps, which do not say what they lacked.
      await engine.fill(40 * MIB);
      const execution = await rest.run({ code: "pass" });
      expect(execution.end_reason).toBe("start_failed");
      expect(execution.error).toContain("The disk of the Docker engine is full");
      expect(await rest.project("demo")).toMatchObject({
        status: "down",
        detail: expect.stringContaining("The disk of the Docker engine is full"),
      });
      expect(await engine.docker.listContainers({ all: true })).toEqual([]);
      await engine.unfill();
      expect((await rest.run({ code: "set_result(1)" })).result).toBe(1);
    },
  );
};

if (missing)
  describe(NAME, () =>
    it("a full disk of the Docker engine is reported", (context) => context.skip(missing)),
  );
else describe(NAME, tests);

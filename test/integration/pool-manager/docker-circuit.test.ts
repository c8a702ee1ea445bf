import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";
import { pino } from "pino";
import { afterEach, beforeEach, expect, it } from "vitest";
import { isUsable } from "#common/projects/catalogue.ts";
import { parseProjectFile } from "#common/projects/file.ts";
import { createCircuits } from "#common/resilience/circuits.ts";
import { guardEngine } from "../../../services/pool-manager/drivers/docker/circuit.ts";
import { engineHealth } from "../../../services/pool-manager/drivers/docker/engine.ts";
import type { WorkerDriver } from "../../../services/pool-manager/drivers/driver.ts";
import { describeWithEngine } from "../../harness/docker/classes.ts";
import { createFakeClock } from "../../support/fake-clock.ts";

const SOCKET = (process.env.DOCKER_HOST ?? "unix:///var/run/docker.sock").replace("unix://", "");

await describeWithEngine("an engine that is not there", "runc", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "airlock-engine-"));
  });
  afterEach(() => rm(directory, { recursive: true }));

  it("a Docker engine that does not answer is called a few times, then not for a while, and is found again when it is back", async () => {
    const clock = createFakeClock();
    const circuits = createCircuits("airlock_pool", clock, pino({ level: "silent" }));
    const socketPath = join(directory, "docker.sock");
    let prepared = 0;
    const plain = {
      prepare: async () => {
        prepared += 1;
      },
    } as Partial<WorkerDriver> as WorkerDriver;
    const driver = guardEngine(plain, new Docker({ socketPath }), circuits);
    const project = parseProjectFile("demo.yaml", "name: demo\n");
    if (!isUsable(project)) throw new Error(project.problem);
    const prepare = () =>
      driver.prepare(project, () => undefined, new AbortController().signal).catch((error: unknown) => error);
    const calls = async () =>
      Object.fromEntries(
        [...(await circuits.registry.metrics()).matchAll(/calls_total{.*outcome="(\w+)"} (\d+)/g)].map(
          ([, outcome = "", count]) => [outcome, Number(count)],
        ),
      );

    const away = {
      code: "start_failed",
      message: expect.stringContaining("cannot be reached (no such file or directory)"),
    };
    const engine = new Docker({ socketPath });
    expect(await engineHealth(engine)).toEqual({ name: "docker", ready: false, detail: away.message });
    for (let n = 0; n < 6; n++) expect(await prepare()).toMatchObject(away);
    expect(await calls()).toEqual({ failed: 3, refused: 3 });
    await symlink(SOCKET, socketPath);
    expect(await engineHealth(engine)).toEqual({ name: "docker", ready: true, detail: "" });
    expect(await prepare()).toMatchObject(away);
    expect(prepared).toBe(0);
    await clock.advance(1_000);
    expect(await prepare()).toBeUndefined();
    expect(await prepare()).toBeUndefined();
    expect(prepared).toBe(2);
    expect(await calls()).toEqual({ failed: 3, refused: 4, succeeded: 2 });
  });
});

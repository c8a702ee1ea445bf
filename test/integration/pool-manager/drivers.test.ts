import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { pino } from "pino";
import { v7 as uuidv7 } from "uuid";
import { describe, expect, it } from "vitest";
import { openTlsIdentity } from "#common/identity/tls-identity.ts";
import { createDockerDriver } from "../../../services/pool-manager/drivers/docker/driver.ts";
import { engineError, openEngine } from "../../../services/pool-manager/drivers/docker/engine.ts";
import { namesOf } from "../../../services/pool-manager/drivers/docker/names.ts";
import { createProcessDriver } from "../../../services/pool-manager/drivers/process/driver.ts";
import { TransientFailure } from "../../../services/pool-manager/drivers/transient-failure.ts";
import { startWorker } from "../../../services/pool-manager/worker/worker.ts";
import {
  DOCKER_ENVIRONMENT,
  describeWithEngine,
  docker,
  removeDeployment,
} from "../../harness/docker/classes.ts";
import { makeCertificates } from "../../harness/tls-services.ts";
import {
  type DriverHarness,
  describeDriverContract,
  projectOf,
  provision,
} from "../../support/driver-contract.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");
const log = pino({ level: "silent" });
const WORKER = {
  workerDirectory: join(ROOT, "worker"),
  descriptorsPath: join(ROOT, "proto", "airlock.binpb"),
  log,
};

describe("the process driver", () => {
  describeDriverContract(async (): Promise<DriverHarness> => {
    const directory = await mkdtemp(join(tmpdir(), "airlock-"));
    return {
      open: async () =>
        createProcessDriver({
          ...WORKER,
          python: process.env.AIRLOCK_PYTHON ?? join(ROOT, ".venv", "bin", "python"),
          runDirectory: join(directory, "run"),
          dataDirectory: directory,
        }),
      harm: async ({ address }) => process.kill(await listenerAt(address), "SIGKILL"),
      outlive: false,
      close: () => rm(directory, { recursive: true, force: true }),
    };
  });
});

describe("a process driver that follows a killed one", () => {
  it("a process driver removes the files of a killed driver's workers, but not while a worker still serves there", async () => {
    const directory = await mkdtemp(join(tmpdir(), "airlock-"));
    const [gone, dying] = [uuidv7(), uuidv7()].map((id) => join(directory, id)) as [string, string];
    await mkdir(join(gone, "scratch"), { recursive: true });
    await writeFile(join(gone, "scratch", "data"), "of a script");
    await chmod(join(gone, "scratch"), 0);
    await mkdir(dying);
    await writeFile(join(directory, "router.sock"), "");
    const server = createServer().listen(join(dying, "worker.sock"));
    const driver = createProcessDriver({
      ...{ ...WORKER, python: "", runDirectory: directory, dataDirectory: directory },
    });
    try {
      expect(await driver.findRunning(() => undefined)).toEqual([]);
      const left = async () => (await readdir(directory)).sort();
      await expect.poll(left).toEqual([basename(dying), "router.sock"]);
      await new Promise((resolve) => server.close(resolve));
      await expect.poll(left).toEqual(["router.sock"]);
    } finally {
      server.close();
      await driver.close();
      await rm(directory, { recursive: true, force: true });
    }
  });
});

/** The process that was told to listen there. */
async function listenerAt(address: string): Promise<number> {
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (command.includes(`--listen\0${address}\0`)) return Number(pid);
  }
  throw new Error(`nobody listens at ${address}`);
}

await describeWithEngine("the docker driver", "runc", () => {
  const deployment = `test-${process.pid}`;
  const openHarness = async (lookEveryMs?: number) => {
    const directory = await mkdtemp(join(tmpdir(), "airlock-"));
    const certificates = join(directory, "certificates");
    await makeCertificates(certificates);
    return {
      certificates,
      tls: await openTlsIdentity(
        join(certificates, "pool-manager"),
        { kind: "service", name: "pool-manager" },
        log,
        50,
      ),
      outlive: true,
      open: async () =>
        createDockerDriver(openEngine(), {
          ...WORKER,
          deployment,
          pythonImage: "python:3.12-slim",
          buildNetwork: DOCKER_ENVIRONMENT.AIRLOCK_BUILD_NETWORK,
          workerTlsDirectory: join(certificates, "worker"),
          ...(lookEveryMs !== undefined && { lookEveryMs }),
        }),
      harm: async (_: unknown, workerId: string) => {
        await docker.getContainer(namesOf(deployment).container(workerId)).kill();
      },
      async close() {
        this.tls.close();
        await removeDeployment(deployment);
        await rm(directory, { recursive: true, force: true });
      },
    };
  };

  describeDriverContract(openHarness);

  it("the docker driver gives renewed certificates to the workers that run", {
    timeout: 120_000,
  }, async () => {
    const harness = await openHarness(50);
    const driver = await harness.open();
    const project = projectOf("");
    const { signal } = new AbortController();
    await driver.prepare(project, () => {}, signal);
    const launched = await driver.start(project, "renewed");
    const parts = { project, workerId: "renewed", provide: async () => provision(project), log };
    const again = () => startWorker(async () => launched, { ...parts, tls: harness.tls }, signal);
    await again();
    // All certificates get a new authority, so that a worker with the old certificate cannot be called.
    const before = await readFile(join(harness.certificates, "worker", "cert.pem"), "utf8");
    await rm(join(harness.certificates, "ca"), { recursive: true });
    await makeCertificates(harness.certificates);
    expect(await readFile(join(harness.certificates, "worker", "cert.pem"), "utf8")).not.toBe(before);
    const { stop, gone } = await again();
    await stop();
    expect(await gone).toMatch(/\w/);
    await driver.close();
    await harness.close();
  });

  it("the docker driver refuses a network of its name that is not Airlock's", async () => {
    const harness = await openHarness();
    const driver = await harness.open();
    const project = projectOf("");
    const network = await docker.createNetwork({ Name: namesOf(deployment).network("contract") });
    try {
      await driver.prepare(project, () => {}, new AbortController().signal);
      await expect(driver.start(project, "fooled")).rejects.toThrow("is not Airlock's");
    } finally {
      await network.remove();
      await driver.close();
      await harness.close();
    }
  });
});

describe("an engine that cannot be used", () => {
  it.each([
    ["is not there", { code: "ENOENT" }, "cannot be reached", true],
    ["takes no connection", { code: "ECONNREFUSED" }, "cannot be reached", true],
    ["fails inside", { statusCode: 500 }, "refused", true],
    ["is not for this user", { code: "EACCES" }, "may not use the Docker engine", false],
    ["does not take the question", { statusCode: 400 }, "refused", false],
    ["has a full disk", { statusCode: 500, message: "write: no space left on device" }, "disk", false],
  ])(
    "a Docker engine that %s gives the reason, and whether it is worth another attempt",
    async (_, refusal, words, passing) => {
      const error = engineError(Object.assign(new Error("connect"), refusal));
      expect(error.message).toContain(words);
      expect(error instanceof TransientFailure).toBe(passing);
    },
  );
});

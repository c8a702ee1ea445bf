import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";
import { pino } from "pino";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createDockerDriver } from "../../../services/pool-manager/drivers/docker/driver.ts";
import { namesOf } from "../../../services/pool-manager/drivers/docker/names.ts";
import {
  DOCKER_ENVIRONMENT,
  describeWithEngine,
  docker,
  removeDeployment,
} from "../../harness/docker/classes.ts";
import { makeCertificates } from "../../harness/tls-services.ts";
import { projectOf } from "../../support/driver-contract.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");
const SOCKET = (process.env.DOCKER_HOST ?? "unix:///var/run/docker.sock").replace("unix://", "");
const AWAY_MS = 2_000;
const SLOW = { timeout: 180_000 };

await describeWithEngine(
  "an engine that dies when it has done something, and before it says so",
  "runc",
  () => {
    const { deployment, filter } = namesOf(`unanswered-${process.pid}`);
    let directory: string;
    let proxy: Server;
    let fatal: string | undefined;

    beforeEach(async () => {
      directory = await mkdtemp(join(tmpdir(), "airlock-"));
      proxy = deadly(() => fatal).listen(join(directory, "docker.sock"));
    });
    afterEach(async () => {
      proxy.close();
      await removeDeployment(deployment);
      await rm(directory, { recursive: true });
    });

    it("running containers are found although the engine's first answer is an error", SLOW, async () => {
      const certificates = join(directory, "certificates");
      await makeCertificates(certificates);
      const engine = new Docker({ socketPath: SOCKET });
      const options = {
        deployment,
        workerDirectory: join(ROOT, "worker"),
        descriptorsPath: join(ROOT, "proto", "airlock.binpb"),
        pythonImage: "python:3.12-slim",
        buildNetwork: DOCKER_ENVIRONMENT.AIRLOCK_BUILD_NETWORK,
        workerTlsDirectory: join(certificates, "worker"),
        log: pino({ level: "silent" }),
      };
      const first = createDockerDriver(engine, options);
      const project = projectOf("");
      await first.prepare(project, () => undefined, new AbortController().signal);
      await first.start(project, "kept");
      const busy = new Docker({ socketPath: SOCKET });
      const { info } = busy;
      let asked = 0;
      busy.info = (async () => {
        if (asked++ === 0) throw Object.assign(new Error("context deadline exceeded"), { statusCode: 500 });
        return info.call(busy);
      }) as typeof info;
      const next = createDockerDriver(busy, options);
      const found = await next.findRunning((name) => (name === project.name ? project : undefined));
      expect(found.map(({ workerId }) => workerId)).toEqual(["kept"]);
      await Promise.all(found.map(({ process }) => process.stop()));
      await Promise.all([first.close(), next.close()]);
    });

    it.each([
      ["made a network", "POST /networks/create"],
      ["made a container", "POST /containers/create"],
      ["started a container", "/start "],
      ["been told to attach to one", "/attach?"],
    ])(
      "a worker's start leaves nothing behind when the engine dies after it has %s and before it answers",
      SLOW,
      async (_, request) => {
        const certificates = join(directory, "certificates");
        await makeCertificates(certificates);
        const mortal = new Docker({ socketPath: join(directory, "docker.sock") });
        const driver = createDockerDriver(mortal, {
          deployment,
          workerDirectory: join(ROOT, "worker"),
          descriptorsPath: join(ROOT, "proto", "airlock.binpb"),
          pythonImage: "python:3.12-slim",
          buildNetwork: DOCKER_ENVIRONMENT.AIRLOCK_BUILD_NETWORK,
          workerTlsDirectory: join(certificates, "worker"),
          log: pino({ level: "silent" }),
        });
        const project = projectOf("");
        fatal = undefined;
        await driver.prepare(project, () => undefined, new AbortController().signal);
        fatal = request;
        await expect(driver.start(project, "lost")).rejects.toMatchObject({ code: "start_failed" });
        const containers = () => docker.listContainers({ all: true, filters: filter() });
        await expect.poll(containers, { timeout: 30_000 }).toEqual([]);
        const isBack = () =>
          mortal.ping().then(
            () => true,
            () => false,
          );
        await expect.poll(isBack).toBe(true);
        await driver.close();
        expect(await docker.listNetworks({ filters: filter() })).toEqual([]);
      },
    );
  },
);

/**
 * A proxy of the engine's socket. A request that contains the text is executed, and then the proxy is dead for
 * AWAY_MS.
 */
function deadly(fatal: () => string | undefined): Server {
  let awayUntil = 0;
  return createServer((client) => {
    client.on("error", () => undefined);
    if (Date.now() < awayUntil) return void client.destroy();
    const engine = connect(SOCKET);
    let isFatal = false;
    client.on("data", (data) => {
      const text = fatal();
      isFatal ||= text !== undefined && awayUntil === 0 && data.includes(text);
      engine.write(data);
    });
    engine.on("data", (data) => {
      if (!isFatal) return void client.write(data);
      awayUntil = Date.now() + AWAY_MS;
      client.destroy();
      engine.destroy();
    });
    client.on("close", () => engine.destroy());
    client.on("end", () => engine.end());
    engine.on("close", () => client.destroy());
    engine.on("error", () => client.destroy());
  });
}

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { AirlockError } from "#common/errors.ts";
import type { Circuits } from "#common/resilience/circuits.ts";
import { ConfigError } from "#common/service/environment.ts";
import type { Log } from "#common/service/log.ts";
import type { PoolManagerConfig } from "../config.ts";
import type { WorkerDriver } from "./driver.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");
const WORKER = {
  workerDirectory: join(ROOT, "worker"),
  descriptorsPath: join(ROOT, "proto", "airlock.binpb"),
};

export type DriverConfig = Pick<
  PoolManagerConfig,
  "driver" | "python" | "docker" | "runDirectory" | "dataDirectory"
>;

/**
 * Creates the driver that the configuration names. Rejects with a ConfigError when the Docker engine cannot
 * be used.
 */
export async function createDriver(
  config: DriverConfig,
  log: Log,
  circuits?: Circuits,
): Promise<WorkerDriver> {
  if (config.driver === "process") {
    await mkdir(config.runDirectory, { recursive: true, mode: 0o700 });
    const { createProcessDriver } = await import("./process/driver.ts");
    return createProcessDriver({ ...config, ...WORKER, log });
  }
  if (!config.docker) throw new Error("the docker driver has no configuration");
  // The modules of the docker driver are loaded only here, because loading them would slow down a start with
  // the process driver.
  const { createDockerDriver } = await import("./docker/driver.ts");
  const { ask, openEngine } = await import("./docker/engine.ts");
  const { guardEngine } = await import("./docker/circuit.ts");
  const engine = openEngine();
  await ask(() => engine.ping()).catch((error: AirlockError) => {
    throw new ConfigError([error.message]);
  });
  const driver = createDockerDriver(engine, { ...config.docker, ...WORKER, log });
  return circuits ? guardEngine(driver, engine, circuits) : driver;
}

/**
 * Creates the driver of a pool-manager. With the docker driver, this process becomes the only pool-manager of
 * its deployment on the engine until `close`. Rejects with a ConfigError while another pool-manager of the
 * deployment runs there.
 */
export async function createOwnDriver(
  config: DriverConfig,
  log: Log,
  circuits?: Circuits,
): Promise<WorkerDriver> {
  const driver = await createDriver(config, log, circuits);
  if (!config.docker) return driver;
  const { openEngine } = await import("./docker/engine.ts");
  const { namesOf } = await import("./docker/names.ts");
  const { ownDeployment } = await import("./docker/owner.ts");
  const ownership = await ownDeployment(openEngine(), namesOf(config.docker.deployment), log);
  return {
    ...driver,
    async close() {
      await driver.close();
      await ownership.release();
    },
  };
}

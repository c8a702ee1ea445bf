import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeTree } from "#common/remove-tree.ts";
import { startPostgres, type TestDatabase, type TestPostgres } from "../harness/postgres.ts";
import { startServiceProcess } from "../harness/service-process.ts";
import { freePort } from "../support/free-port.ts";
import { type KeptService, keepService } from "./kept-service.ts";
import type { OpenPlace, Place } from "./worker-host.ts";

/** Every service as a process of its own that is started again when it dies, over a PostgreSQL of their own. */
export type Stage = {
  /** Two gateways, each before a router of its own. */
  readonly urls: readonly string[];
  readonly services: ReadonlyMap<string, KeptService>;
  readonly place: Place;
  readonly postgres: TestPostgres;
  readonly database: TestDatabase;
  /** Ends the services of Airlock in good order. */
  stop(): Promise<void>;
  remove(): Promise<void>;
};

export async function openStage(
  openPlace: OpenPlace,
  projects: Readonly<Record<string, string>>,
  secrets: Readonly<Record<string, string>>,
): Promise<Stage> {
  const directory = await mkdtemp(join(tmpdir(), "airlock-chaos-"));
  const projectsDirectory = join(directory, "projects");
  await mkdir(projectsDirectory);
  for (const [name, text] of Object.entries(projects)) {
    await writeFile(join(projectsDirectory, `${name}.yaml`), `name: ${name}\n${text}`);
  }
  const postgres = await startPostgres();
  const database = await postgres.newDatabase();
  const socket = (name: string) => `unix:${join(directory, `${name}.sock`)}`;
  const ports = [await freePort(), await freePort()];
  const projectsEnv = { AIRLOCK_PROJECTS_DIR: projectsDirectory };
  const dataEnv = { AIRLOCK_DATA_DIR: join(directory, "data") };
  const router = (name: string) => ({
    AIRLOCK_LISTEN: socket(name),
    AIRLOCK_POOL_MANAGER_ADDRESS: socket("pool-manager"),
    AIRLOCK_SANITIZER_ADDRESS: socket("sanitizer"),
    AIRLOCK_EGRESS_ADDRESS: socket("egress"),
    AIRLOCK_DATABASE_URL: database.url,
  });
  const gateway = (port: number, itsRouter: string) => ({
    AIRLOCK_PORT: String(port),
    AIRLOCK_ROUTER_ADDRESS: socket(itsRouter),
    AIRLOCK_POOL_MANAGER_ADDRESS: socket("pool-manager"),
  });
  const secretsEnv = { AIRLOCK_SECRETS_ADDRESS: socket("secrets") };
  const environments: Record<string, Record<string, string>> = {
    secrets: {
      ...{ ...secrets, ...projectsEnv, AIRLOCK_LISTEN: socket("secrets") },
      AIRLOCK_VERSION_KEY_FILE: join(directory, "version-key"),
    },
    sanitizer: { ...secretsEnv, AIRLOCK_LISTEN: socket("sanitizer") },
    egress: { ...secretsEnv, ...projectsEnv, ...dataEnv, AIRLOCK_LISTEN: socket("egress") },
    "pool-manager": {
      ...{ ...secretsEnv, ...projectsEnv, ...dataEnv },
      AIRLOCK_LISTEN: socket("pool-manager"),
    },
    "router-1": router("router-1"),
    "router-2": router("router-2"),
    "gateway-1": gateway(ports[0] as number, "router-1"),
    "gateway-2": gateway(ports[1] as number, "router-2"),
  };
  const airlock = new Map<string, KeptService>();
  const place = await openPlace(directory, () => airlock.get("pool-manager")?.pid());
  for (const [name, env] of Object.entries(environments)) {
    const launch = () =>
      startServiceProcess(name.replace(/-\d$/, ""), { ...env, ...place.environmentOf(name) });
    airlock.set(name, await keepService(name, launch));
  }
  const services = new Map([...place.services, ...airlock]);
  return {
    urls: ports.map((port) => `http://127.0.0.1:${port}`),
    ...{ services, place, postgres, database },
    async stop() {
      for (const service of [...airlock.values()].reverse()) await service.stop();
    },
    async remove() {
      for (const service of airlock.values()) await service.remove();
      await place.remove();
      await postgres.remove();
      await removeTree(directory);
    },
  };
}

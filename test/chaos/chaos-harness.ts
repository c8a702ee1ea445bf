import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeTree } from "#common/remove-tree.ts";
import { type ServiceName, START_ORDER, wiringOf } from "../../services/composition.ts";
import { startPostgres, type TestDatabase, type TestPostgres } from "../harness/postgres.ts";
import { startServiceProcess } from "../harness/service-process.ts";
import { freePort } from "../support/free-port.ts";
import { type KeptService, keepService } from "./kept-service.ts";
import type { OpenWorkerHost, WorkerHost } from "./worker-host.ts";

/** All services as processes that are started again when they die, with a PostgreSQL of their own. */
export type ChaosHarness = {
  /** Two gateways, each before a router of its own. */
  readonly urls: readonly string[];
  readonly services: ReadonlyMap<string, KeptService>;
  readonly workerHost: WorkerHost;
  readonly postgres: TestPostgres;
  readonly database: TestDatabase;
  /** Stops Airlock's services with SIGTERM, the last started first. */
  stop(): Promise<void>;
  /** Kills all processes and removes all files. */
  remove(): Promise<void>;
};

/** Starts all services; `secrets` are environment variables of the secrets service. */
export async function openChaosHarness(
  openWorkerHost: OpenWorkerHost,
  projects: Readonly<Record<string, string>>,
  secrets: Readonly<Record<string, string>>,
): Promise<ChaosHarness> {
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
  const files = { AIRLOCK_PROJECTS_DIR: projectsDirectory, AIRLOCK_DATA_DIR: join(directory, "data") };
  /** The addresses of a service whose own socket is `own`; `itsRouter` is the router that it calls. */
  const wired = (service: ServiceName, own: string, itsRouter = "router") =>
    wiringOf(service, (name) => socket(name === service ? own : name === "router" ? itsRouter : name));
  const router = (name: string) => ({ ...wired("router", name), AIRLOCK_DATABASE_URL: database.url });
  const gateway = (port: number, itsRouter: string) => ({
    ...wired("gateway", "gateway", itsRouter),
    AIRLOCK_PORT: String(port),
  });
  const own: Partial<Record<ServiceName, Record<string, string>>> = {
    secrets: { ...secrets, AIRLOCK_VERSION_KEY_FILE: join(directory, "version-key") },
  };
  // Services that keep no data do not read the address of the database.
  const single = START_ORDER.filter((name) => name !== "router" && name !== "gateway").map((name) => [
    name,
    { ...files, AIRLOCK_DATABASE_URL: database.url, ...wired(name, name), ...own[name] },
  ]);
  const environments: Record<string, Record<string, string>> = {
    ...Object.fromEntries(single),
    "router-1": router("router-1"),
    "router-2": router("router-2"),
    "gateway-1": gateway(ports[0] as number, "router-1"),
    "gateway-2": gateway(ports[1] as number, "router-2"),
  };
  const airlock = new Map<string, KeptService>();
  const workerHost = await openWorkerHost(directory, () => airlock.get("pool-manager")?.pid());
  for (const [name, env] of Object.entries(environments)) {
    const launch = () =>
      startServiceProcess(name.replace(/-\d$/, ""), { ...env, ...workerHost.environmentOf(name) });
    airlock.set(name, await keepService(name, launch));
  }
  const services = new Map([...workerHost.services, ...airlock]);
  return {
    urls: ports.map((port) => `http://127.0.0.1:${port}`),
    ...{ services, workerHost, postgres, database },
    async stop() {
      for (const service of [...airlock.values()].reverse()) await service.stop();
    },
    async remove() {
      for (const service of airlock.values()) await service.remove();
      await workerHost.remove();
      await postgres.remove();
      await removeTree(directory);
    },
  };
}

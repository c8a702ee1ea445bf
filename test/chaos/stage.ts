import { mkdir, mkdtemp, readdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeTree } from "../../services/common/remove-tree.ts";
import { freePort } from "../support/free-port.ts";
import { startPostgres, type TestDatabase, type TestPostgres } from "../support/postgres.ts";
import { childrenOf } from "../support/process-tree.ts";
import { type KeptService, keepService } from "./kept-service.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const PYTHON = process.env.AIRLOCK_PYTHON ?? join(ROOT, ".venv", "bin", "python");

/** Every service as a process of its own that is started again when it dies, over a PostgreSQL of their own. */
export type Stage = {
  /** Two gateways, each before a router of its own. */
  readonly urls: readonly string[];
  readonly directory: string;
  readonly services: ReadonlyMap<string, KeptService>;
  readonly postgres: TestPostgres;
  readonly database: TestDatabase;
  /** The supervisors of the workers that live. */
  supervisors(): Promise<number[]>;
  /** Processes of workers, whoever is their parent by now. */
  workerProcesses(): Promise<number[]>;
  /** Ends the services in good order; resolves to what could not be ended so. */
  stop(): Promise<void>;
  remove(): Promise<void>;
};

export async function openStage(
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
      ...{ ...secretsEnv, ...projectsEnv, ...dataEnv, AIRLOCK_LISTEN: socket("pool-manager") },
      ...{ AIRLOCK_RUN_DIR: join(directory, "run"), AIRLOCK_PYTHON: PYTHON },
    },
    "router-1": router("router-1"),
    "router-2": router("router-2"),
    "gateway-1": gateway(ports[0] as number, "router-1"),
    "gateway-2": gateway(ports[1] as number, "router-2"),
  };
  const services = new Map<string, KeptService>();
  for (const [name, env] of Object.entries(environments)) services.set(name, await keepService(name, env));
  return {
    urls: ports.map((port) => `http://127.0.0.1:${port}`),
    ...{ directory, services, postgres, database },
    async supervisors() {
      const poolManager = services.get("pool-manager")?.pid();
      const children = poolManager ? await childrenOf(poolManager) : [];
      const lines = await Promise.all(children.map(commandLine));
      return children.filter((_, index) => lines[index]?.includes("airlock_worker\0"));
    },
    async workerProcesses() {
      const pids = (await readdir("/proc")).map(Number).filter((pid) => pid > 0);
      const lines = await Promise.all(pids.map(commandLine));
      return pids.filter((_, index) => lines[index]?.includes(join(directory, "run")));
    },
    async stop() {
      for (const service of [...services.values()].reverse()) await service.stop();
    },
    async remove() {
      for (const service of services.values()) await service.remove();
      await postgres.remove();
      await removeTree(directory);
    },
  };
}

/** Empty when the process is gone, or waits to be reaped. */
export async function commandLine(pid: number): Promise<string> {
  return await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
}

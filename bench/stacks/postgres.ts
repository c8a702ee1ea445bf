import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PYTHON } from "../../cli/tools.ts";
import { type ServiceName, START_ORDER, wiringOf } from "../../services/composition.ts";
import { startPostgres } from "../../test/harness/postgres.ts";
import { type ServiceProcess, startServiceProcess } from "../../test/harness/service-process.ts";
import { freePort } from "../../test/support/free-port.ts";
import { PROJECTS } from "../projects.ts";
import { environmentPython } from "./environment.ts";
import type { Stack } from "./stack.ts";

/** Starts each service as a process of its own, with a PostgreSQL whose commits reach the disk. */
export async function startPostgresStack(): Promise<Stack> {
  const directory = await mkdtemp(join(tmpdir(), "ab-"));
  const projects = join(directory, "projects");
  await mkdir(projects);
  for (const [name, text] of Object.entries(PROJECTS)) {
    await writeFile(join(projects, `${name}.yaml`), `name: ${name}\n${text}`);
  }
  const postgres = await startPostgres({ durable: true });
  const running: [string, ServiceProcess][] = [];
  const close = async () => {
    for (const [, service] of running.reverse()) await service.kill();
    await postgres.remove();
    await rm(directory, { recursive: true, force: true });
  };
  try {
    const database = await postgres.newDatabase();
    const port = await freePort();
    const address = (name: string) => `unix:${join(directory, `${name}.sock`)}`;
    const common = {
      AIRLOCK_LOG_LEVEL: "info",
      AIRLOCK_PROJECTS_DIR: projects,
      AIRLOCK_DATA_DIR: directory,
      // Of each service that keeps data; each has a schema of its own.
      AIRLOCK_DATABASE_URL: database.url,
    };
    const own: Readonly<Partial<Record<ServiceName, Record<string, string>>>> = {
      "pool-manager": { AIRLOCK_PYTHON: PYTHON, AIRLOCK_RUN_DIR: directory },
      gateway: { AIRLOCK_PORT: String(port) },
    };
    for (const name of START_ORDER) {
      const env = { ...common, ...wiringOf(name, address), ...own[name] };
      running.push([name, await startServiceProcess(name, env)]);
    }
    return {
      name: "postgres",
      url: `http://127.0.0.1:${port}`,
      routerAddress: address("router"),
      processes: Object.fromEntries(running.map(([name, { pid }]) => [name, pid])),
      pythonOf: (project) => environmentPython(directory, project),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

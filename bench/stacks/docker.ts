import { rm } from "node:fs/promises";
import Docker from "dockerode";
import { LABEL } from "../../services/pool-manager/drivers/docker/names.ts";
import { startAirlock } from "../../test/harness/airlock.ts";
import { PROJECTS, type ProjectName } from "../projects.ts";
import { routerAddressOf } from "./embedded.ts";
import type { Stack } from "./stack.ts";

/** The classes of containers that are measured, and what each adds to a project's file. */
export const RUNTIMES = { runc: "runtime: runc\n", runsc: "isolation: gvisor\n" } as const;
export type Runtime = keyof typeof RUNTIMES;

// Always the same, so that images are built once; a start takes away what a crashed benchmark left.
const DEPLOYMENT = "bench";

/** The runtimes of the engine here; rejects when there is no engine. */
export async function engineRuntimes(): Promise<Runtime[]> {
  const { Runtimes } = await new Docker().info();
  return (Object.keys(RUNTIMES) as Runtime[]).filter((runtime) => Object.hasOwn(Runtimes, runtime));
}

/** A project of a class of containers. */
export function dockerProject(project: ProjectName, runtime: Runtime): string {
  return `${project}-${runtime}`;
}

/** `./airlock up --driver docker`, with every project once for each runtime. */
export async function startDockerStack(runtimes: readonly Runtime[]): Promise<Stack> {
  const projects = runtimes.flatMap((runtime) =>
    (Object.keys(PROJECTS) as ProjectName[]).map((project) => [
      dockerProject(project, runtime),
      `${PROJECTS[project]}${RUNTIMES[runtime]}`,
    ]),
  );
  const airlock = await startAirlock({
    projects: Object.fromEntries(projects),
    env: {
      AIRLOCK_DRIVER: "docker",
      AIRLOCK_DEPLOYMENT: DEPLOYMENT,
      AIRLOCK_BUILD_NETWORK: process.env.AIRLOCK_BUILD_NETWORK ?? "host",
    },
  });
  return {
    name: "docker",
    url: airlock.url,
    routerAddress: routerAddressOf(airlock.dataDirectory),
    processes: { "all services": airlock.pid },
    pythonOf: () => Promise.reject(new Error("its interpreter is in a container")),
    async close() {
      await airlock.stop();
      await removeNetworks();
      await rm(airlock.directory, { recursive: true, force: true });
    },
  };
}

/** The image of a project's workers, and the bounds of their containers as arguments of `docker run`. */
export async function workerContainer(
  project: string,
): Promise<{ readonly image: string; readonly runArguments: string[] }> {
  const docker = new Docker();
  const label = [`${LABEL.deployment}=${DEPLOYMENT}`, `${LABEL.project}=${project}`];
  const [container] = await docker.listContainers({ filters: { label } });
  if (!container) throw new Error(`no container of the project ${project}`);
  const { HostConfig, Config } = await docker.getContainer(container.Id).inspect();
  return {
    image: Config.Image,
    runArguments: [
      ...["--runtime", HostConfig.Runtime ?? "runc", "--network", "none", "--read-only", "--tmpfs", "/tmp"],
      ...["--cap-drop", "ALL", "--security-opt", "no-new-privileges"],
      ...["--cpus", String((HostConfig.NanoCpus ?? 0) / 1e9), "--memory", String(HostConfig.Memory ?? 0)],
    ],
  };
}

async function removeNetworks(): Promise<void> {
  const docker = new Docker();
  const filters = { label: [`${LABEL.deployment}=${DEPLOYMENT}`] };
  for (const { Id } of await docker.listNetworks({ filters })) await docker.getNetwork(Id).remove();
}

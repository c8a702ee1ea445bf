import { rm } from "node:fs/promises";
import Docker from "dockerode";
import { LABEL } from "../../services/pool-manager/drivers/docker/names.ts";
import { startAirlock } from "../../test/harness/airlock.ts";
import { PROJECTS, type ProjectName } from "../projects.ts";
import { routerAddressOf } from "./embedded.ts";
import type { Stack } from "./stack.ts";

/** The measured container runtimes, and the text that each adds to a project file. */
export const RUNTIMES = { runc: "runtime: runc\n", runsc: "isolation: gvisor\n" } as const;
export type Runtime = keyof typeof RUNTIMES;

// A fixed deployment name, so that images are built only once, and a start removes containers that a crashed
// benchmark left.
const DEPLOYMENT = "bench";

/** The measured runtimes that this machine's Docker engine has. Rejects when there is no engine. */
export async function engineRuntimes(): Promise<Runtime[]> {
  const { Runtimes } = await new Docker().info();
  return (Object.keys(RUNTIMES) as Runtime[]).filter((runtime) => Object.hasOwn(Runtimes, runtime));
}

/** The name of a project that runs in containers of this runtime. */
export function dockerProject(project: ProjectName, runtime: Runtime): string {
  return `${project}-${runtime}`;
}

/** Starts `./airlock up --driver docker`, with every project once for each runtime. */
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

/** The image of a project's workers, and the limits of their containers as arguments of `docker run`. */
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

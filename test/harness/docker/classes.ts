import { rm } from "node:fs/promises";
import Docker from "dockerode";
import { describe, it } from "vitest";
import { deploymentOf, LABEL } from "../../../services/pool-manager/drivers/docker/names.ts";
import { startAirlock, type TestAirlock, type TestAirlockOptions } from "../airlock.ts";

export const docker = new Docker();

/** The container runtimes that the suites use, each with the line of a project file that chooses it. */
export const RUNTIMES = [
  { runtime: "runc", line: "runtime: runc\n" },
  { runtime: "runsc", line: "isolation: gvisor\n" },
] as const;

/** The reason why this machine has no engine with that runtime; undefined when it has. */
async function engineMissing(runtime = "runc"): Promise<string | undefined> {
  try {
    const { Runtimes } = await docker.info();
    return Object.hasOwn(Runtimes, runtime) ? undefined : `the Docker engine here has no runtime ${runtime}`;
  } catch {
    return "no Docker engine here";
  }
}

/** Defines tests that need an engine with this runtime; without one, one skipped test gives the reason. */
export async function describeWithEngine(name: string, runtime: string, tests: () => void): Promise<void> {
  const missing = await engineMissing(runtime);
  if (missing)
    describe(name, () => it(`${name}: the tests need a Docker engine`, (context) => context.skip(missing)));
  else describe(name, tests);
}

export type DockerAirlock = Omit<TestAirlock, "restart"> & {
  /** The deployment's containers, also stopped ones, and the ids of its networks. */
  traces(): Promise<{ containers: Docker.ContainerInfo[]; networks: string[] }>;
  images(): Promise<Docker.ImageInfo[]>;
  /** The deployment's volumes, and all unnamed volumes, because a container of the deployment may own them. */
  volumes(): Promise<string[]>;
  restart(): Promise<DockerAirlock>;
};

/** Starts an Airlock like `startAirlock`, with workers in containers; `remove` removes its images, too. */
export async function startDockerAirlock(options: TestAirlockOptions = {}): Promise<DockerAirlock> {
  const airlock = await startAirlock({ ...options, env: { ...DOCKER_ENVIRONMENT, ...options.env } });
  return withEngine(airlock, options.env?.AIRLOCK_DEPLOYMENT ?? deploymentOf(airlock.dataDirectory));
}

export const DOCKER_ENVIRONMENT = {
  AIRLOCK_DRIVER: "docker",
  // A path that does not exist, because the Docker driver needs no Python of this machine.
  AIRLOCK_PYTHON: "/nowhere/python",
  // Image builds use the host's network, because containers of the tests may reach no package index by themselves.
  AIRLOCK_BUILD_NETWORK: process.env.AIRLOCK_BUILD_NETWORK ?? "host",
};

function withEngine(airlock: TestAirlock, deployment: string): DockerAirlock {
  const filters = filtersOf(deployment);
  return {
    ...airlock,
    traces: async () => ({
      containers: await docker.listContainers({ all: true, filters }),
      networks: (await docker.listNetworks({ filters })).map(({ Id }) => Id),
    }),
    async volumes() {
      const own = new RegExp(`^([0-9a-f]{64}$|airlock-${deployment}-)`);
      const { Volumes } = await docker.listVolumes();
      return (Volumes ?? []).map(({ Name }) => Name).filter((name) => own.test(name));
    },
    images: () => docker.listImages({ filters }),
    restart: async () => withEngine(await airlock.restart(), deployment),
    async remove() {
      await airlock.stop();
      await removeDeployment(deployment);
      await rm(airlock.directory, { recursive: true, force: true });
    },
  };
}

/** Runs a command as the container's user, outside the sandbox of runs; resolves to its output. */
export async function execIn(containerId: string, command: readonly string[]): Promise<string> {
  const exec = await docker
    .getContainer(containerId)
    .exec({ Cmd: [...command], AttachStdout: true, AttachStderr: true, Tty: true });
  const stream = await exec.start({ Tty: true });
  let output = "";
  for await (const chunk of stream) output += chunk;
  return output.trim().replaceAll("\r\n", "\n");
}

/** Removes a deployment's containers, networks, volumes and images from the engine. */
export async function removeDeployment(deployment: string): Promise<void> {
  const filters = filtersOf(deployment);
  for (const { Id } of await docker.listContainers({ all: true, filters })) {
    await docker.getContainer(Id).remove({ force: true });
  }
  for (const { Id } of await docker.listNetworks({ filters })) await docker.getNetwork(Id).remove();
  const { Volumes } = await docker.listVolumes({ filters: JSON.stringify(filters) });
  for (const { Name } of Volumes ?? []) await docker.getVolume(Name).remove();
  for (const { RepoTags } of await docker.listImages({ filters })) {
    for (const tag of RepoTags ?? []) await docker.getImage(tag).remove();
  }
}

function filtersOf(deployment: string) {
  return { label: [`${LABEL.deployment}=${deployment}`] };
}

import { rm } from "node:fs/promises";
import Docker from "dockerode";
import { describe, it } from "vitest";
import { deploymentOf, LABEL } from "../../../services/pool-manager/drivers/docker/names.ts";
import { startAirlock, type TestAirlock, type TestAirlockOptions } from "../airlock.ts";

export const docker = new Docker();

/** The classes of containers that the suites run on; each line is one of a project file. */
export const RUNTIMES = [
  { runtime: "runc", line: "runtime: runc\n" },
  { runtime: "runsc", line: "isolation: gvisor\n" },
] as const;

/** Why there is no such engine here; undefined when there is. */
async function engineMissing(runtime = "runc"): Promise<string | undefined> {
  try {
    const { Runtimes } = await docker.info();
    return Object.hasOwn(Runtimes, runtime) ? undefined : `the Docker engine here has no runtime ${runtime}`;
  } catch {
    return "no Docker engine here";
  }
}

/** Describes what needs an engine with this runtime; without one the reason stands in place of the tests. */
export async function describeWithEngine(name: string, runtime: string, tests: () => void): Promise<void> {
  const missing = await engineMissing(runtime);
  if (missing)
    describe(name, () => it(`${name}: the tests need a Docker engine`, (context) => context.skip(missing)));
  else describe(name, tests);
}

export type DockerAirlock = Omit<TestAirlock, "restart"> & {
  /** All that this deployment has in the engine, by id; containers that do not run as well. */
  traces(): Promise<{ containers: Docker.ContainerInfo[]; networks: string[] }>;
  images(): Promise<Docker.ImageInfo[]>;
  /** Its volumes by name, and those without a name of anybody: a container's could be among them. */
  volumes(): Promise<string[]>;
  restart(): Promise<DockerAirlock>;
};

/** Like startAirlock, with workers in containers; its images go with it. */
export async function startDockerAirlock(options: TestAirlockOptions = {}): Promise<DockerAirlock> {
  const airlock = await startAirlock({ ...options, env: { ...DOCKER_ENVIRONMENT, ...options.env } });
  return withEngine(airlock, options.env?.AIRLOCK_DEPLOYMENT ?? deploymentOf(airlock.dataDirectory));
}

export const DOCKER_ENVIRONMENT = {
  AIRLOCK_DRIVER: "docker",
  // No Python of this machine is needed.
  AIRLOCK_PYTHON: "/nowhere/python",
  // As on a machine whose containers reach no package index by themselves.
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

/** What a command prints that runs in the container, past the sandbox of a run, as the container's user. */
export async function execIn(containerId: string, command: readonly string[]): Promise<string> {
  const exec = await docker
    .getContainer(containerId)
    .exec({ Cmd: [...command], AttachStdout: true, AttachStderr: true, Tty: true });
  const stream = await exec.start({ Tty: true });
  let output = "";
  for await (const chunk of stream) output += chunk;
  return output.trim().replaceAll("\r\n", "\n");
}

/** Removes all that a deployment has in the engine, images too. */
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

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type Docker from "dockerode";
import { AirlockError } from "#common/errors.ts";
import type { Project } from "#common/projects/file.ts";
import { systemClock } from "#common/resilience/clock.ts";
import { every, retry } from "#common/resilience/retry.ts";
import type { Log } from "#common/service/log.ts";
import { systemReason } from "#common/system-reason.ts";
import type { FoundWorker, WorkerDriver } from "../driver.ts";
import { createCallers } from "./callers.ts";
import { type ContainerParts, containerOptions, forWorker, revisionOf } from "./container.ts";
import { ask, engineHealth, refusedWith, unlessGone } from "./engine.ts";
import { createImages, type ImageOptions } from "./image.ts";
import { LABEL, namesOf } from "./names.ts";
import { createNetworks } from "./network.ts";
import { discard, handOver, removeContainer, superviseContainer, type WorkerCertificates } from "./worker.ts";

export type DockerDriverOptions = ImageOptions & {
  /** The name by which this deployment's containers differ from those of other deployments. */
  readonly deployment: string;
  /** The directory with `ca.pem`, `cert.pem` and `key.pem` of the workers. */
  readonly workerTlsDirectory: string;
  /**
   * The label (`name=value`) of the containers of services that call workers, such as routers, by which the
   * driver finds these containers and puts them into the projects' networks. Undefined when these services
   * run on the host.
   */
  readonly callersLabel?: string | undefined;
  readonly log: Log;
  /**
   * Milliseconds between two looks for renewed certificates in `workerTlsDirectory`; a minute unless given.
   */
  readonly lookEveryMs?: number;
};

const LOOK_EVERY_MS = 60_000;
const MEMORY_TIMEOUT_MS = 5_000;
const MAX_TRIES = 5;
const ASK_AGAIN_MS = 1_000;
const REMOVAL_GRACE_MS = 10_000;
const SECCOMP_PATH = join(import.meta.dirname, "seccomp.json");
// The usual name of gVisor's container runtime, which is used for a project with `isolation: gvisor` and
// without `runtime:`.
const GVISOR_RUNTIME = "runsc";

/** Runs each worker in a container of a Docker engine. */
export function createDockerDriver(docker: Docker, options: DockerDriverOptions): WorkerDriver {
  const { log } = options;
  const names = namesOf(options.deployment);
  const images = createImages(docker, names, options, log);
  const callers = options.callersLabel ? createCallers(docker, options.callersLabel, log) : undefined;
  const networks = createNetworks(docker, names, log, callers);
  // By project file, because a start that began before the file changed may prepare its image last.
  const prepared = new WeakMap<Project, ContainerParts>();

  const running = new Set<Docker.Container>();
  const removals = new Set<Promise<void>>();
  let handed: string | undefined;
  const certificates = async () => {
    const latest = await readCertificates(options.workerTlsDirectory);
    handed ??= latest.cert;
    return latest;
  };
  /**
   * Sends renewed TLS certificates to the running workers, because workers may run longer than their
   * certificates are valid.
   */
  const renew = async () => {
    const latest = await certificates();
    if (latest.cert === handed) return;
    handed = latest.cert;
    const done = await Promise.allSettled([...running].map((container) => handOver(container, latest)));
    const failed = done.filter(({ status }) => status === "rejected").length;
    log.info({ workers: done.length, failed }, "renewed certificates were handed to the workers");
  };
  const renewal = setInterval(() => {
    renew().catch((error: unknown) => log.error({ err: error }, "certificates were not renewed"));
  }, options.lookEveryMs ?? LOOK_EVERY_MS).unref();

  const partsFor = async (project: Project, image: string): Promise<ContainerParts> => {
    const info = (await ask(() => docker.info())) as EngineInfo;
    const runtime = runtimeFor(project);
    refuseUnknownRuntime(project, runtime, Object.keys(info.Runtimes ?? {}));
    const seccomp = JSON.stringify(JSON.parse(await readFile(SECCOMP_PATH, "utf8")));
    return { project, image, runtime, seccomp, machineCpus: info.NCPU };
  };

  const watch = async (container: Docker.Container, project: string, workerId: string) => {
    const process = await superviseContainer(
      docker,
      container,
      names.network(project),
      log.child({ project, workerId }),
    );
    running.add(container);
    void process.gone.then(() => running.delete(container));
    leave(project, process.removed);
    return process;
  };

  /**
   * Releases the project's network when a container in it has been removed. A network without any worker is
   * removed soon after.
   */
  const leave = (project: string, removed: Promise<void>) => {
    const removal = removed.finally(() => {
      removals.delete(removal);
      networks.release(project);
    });
    removals.add(removal);
  };

  return {
    name: "docker",
    boundsWorkers: true,
    keepsWorkers: true,
    // This service is not ready while the engine does not answer, because no worker can be started then. A
    // start that is tried meanwhile fails with the reason.
    readiness: async () => [await engineHealth(docker)],
    memoryBytes: () =>
      ask(() => docker.info(), MEMORY_TIMEOUT_MS).then(
        (info) => (info as EngineInfo).MemTotal,
        () => Number.POSITIVE_INFINITY,
      ),
    refusal: () => undefined,
    async prepare(project, onProgress, signal) {
      const image = await images.ensure(project, onProgress, signal);
      prepared.set(project, await partsFor(project, image));
    },
    async start(project, workerId) {
      const parts = prepared.get(project);
      if (!parts) throw new Error(`project ${project.name} was not prepared`);
      const general = containerOptions(names, parts);
      const own = forWorker(names, general, workerId, revisionOf(parts.project, general));
      await networks.hold(project.name);
      // The container is addressed by its name until the engine has answered. An engine that dies after it
      // made the container, and before it answers, never tells the container's id.
      let container = docker.getContainer(names.container(workerId));
      let isAnswered = false;
      try {
        container = await ask((abortSignal) => docker.createContainer({ ...own, abortSignal }));
        isAnswered = true;
        await ask((abortSignal) => container.start({ abortSignal }));
        await handOver(container, await certificates());
        return await watch(container, project.name, workerId);
      } catch (error) {
        isAnswered ||= refusedWith(error) !== undefined;
        const { discarded } = await discard(container, isAnswered, log);
        leave(project.name, discarded);
        throw error;
      }
    },
    async findRunning(projectNamed) {
      const listed = await ask((abortSignal) =>
        docker.listContainers({ all: true, filters: names.filter(), abortSignal }),
      );
      const found = await Promise.all(
        listed.map(async ({ Id, State, Labels }): Promise<FoundWorker[]> => {
          const container = docker.getContainer(Id);
          const { [LABEL.project]: project, [LABEL.worker]: workerId } = Labels;
          if (project && workerId && State === "running") {
            const outdated = await whyOutdated(projectNamed(project), Labels[LABEL.revision]);
            await networks.hold(project);
            try {
              // The certificates are sent again, because the earlier pool-manager may have died before it
              // sent them.
              await handOver(container, await certificates());
              return [{ project, workerId, outdated, process: await watch(container, project, workerId) }];
            } catch (error) {
              networks.release(project);
              // A status below 500 means that the container has ended since it was listed. The container is
              // then removed below.
              if ((refusedWith(error) ?? 500) >= 500) throw error;
            }
          }
          log.info({ project: Labels[LABEL.project], workerId }, "an earlier process's container is removed");
          await removeContainer(container);
          return [];
        }),
      );
      await networks.sweep();
      await images.sweep();
      return found.flat();
    },
    async close() {
      clearInterval(renewal);
      await Promise.race([Promise.all(removals), delay(REMOVAL_GRACE_MS, undefined, { ref: false })]);
      await networks.close();
    },
  };

  /**
   * Why a container with this revision label is to be replaced once its executions have ended; undefined when
   * a new container of the project would be the same. Never rejects, because neither a mismatch nor a busy
   * engine may end the executions in the container.
   */
  async function whyOutdated(
    project: Project | undefined,
    revision: string | undefined,
  ): Promise<string | undefined> {
    if (!project) return "its project cannot be used now";
    try {
      const image = await images.nameOf(project);
      const known = image && (await unlessGone(ask(() => docker.getImage(image).inspect())));
      if (!image || !known) return "its project needs another image now";
      const parts = await patiently(() => partsFor(project, image));
      prepared.set(project, parts);
      const current = revisionOf(project, containerOptions(names, parts));
      return current === revision ? undefined : "its project would be started otherwise now";
    } catch (error) {
      log.warn({ project: project.name, err: error }, "an earlier process's container cannot be compared");
      return "whether it fits its project could not be found out";
    }
  }
}

/**
 * Makes a request again when a busy engine does not answer it: up to five attempts, a second apart. One
 * missing answer must not lead to the replacement of containers with running scripts.
 */
function patiently<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  const mayRetry = (_error: unknown, attempt: number) => attempt < MAX_TRIES;
  return retry(ask, { mayRetry, delayMs: every(ASK_AGAIN_MS), clock: systemClock });
}

type EngineInfo = {
  readonly NCPU: number;
  readonly MemTotal: number;
  readonly Runtimes?: Readonly<Record<string, unknown>>;
};

function runtimeFor({ runtime, isolation }: Project): string | undefined {
  return runtime ?? (isolation === "gvisor" ? GVISOR_RUNTIME : undefined);
}

function refuseUnknownRuntime(project: Project, runtime: string | undefined, known: readonly string[]): void {
  if (runtime === undefined || known.includes(runtime)) return;
  const demand = project.runtime ? `runtime: ${runtime}` : `isolation: ${project.isolation}`;
  throw new AirlockError(
    "start_failed",
    `${demand} needs a runtime "${runtime}" that the Docker engine does not have; the engine has ${known.join(", ")}. The operator installs it or changes the project file.`,
  );
}

async function readCertificates(directory: string): Promise<WorkerCertificates> {
  const read = (name: string) =>
    readFile(join(directory, name), "utf8").catch((cause: NodeJS.ErrnoException) => {
      throw new AirlockError(
        "start_failed",
        `The workers' certificates cannot be read (${systemReason(cause)}); the operator makes them with ./airlock certs and names them in AIRLOCK_WORKER_TLS_DIR.`,
        { cause },
      );
    });
  const [ca, cert, key] = await Promise.all([read("ca.pem"), read("cert.pem"), read("key.pem")]);
  return { ca, cert, key };
}

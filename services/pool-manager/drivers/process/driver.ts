import { type ChildProcess, spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { AirlockError, isShortage } from "#common/errors.ts";
import type { Project } from "#common/projects/file.ts";
import { removeTree } from "#common/remove-tree.ts";
import type { Log } from "#common/service/log.ts";
import { createEnvironments } from "../../packages/environments.ts";
import { projectArguments } from "../../packages/requirements.ts";
import type { WorkerDriver } from "../driver.ts";
import { relayWorkerLog } from "../worker-log.ts";
import { removeLeftovers } from "./leftovers.ts";
import { ownMemoryBytes } from "./own-memory.ts";

export type ProcessDriverOptions = {
  /**
   * The Python interpreter that runs the workers' supervisors. It has gRPC, and `uv` is installed beside it.
   */
  readonly python: string;
  /** The directory of the worker package. */
  readonly workerDirectory: string;
  /**
   * The path of the protobuf descriptor file (airlock.binpb), from which a worker makes its message classes.
   */
  readonly descriptorsPath: string;
  /**
   * The directory of workers' sockets and scratch files. The path must be short, because a socket path has at
   * most 107 characters.
   */
  readonly runDirectory: string;
  /** The directory in which the Python environments of projects and the output of runs are kept. */
  readonly dataDirectory: string;
  readonly log: Log;
};

const STOP_GRACE_MS = 5_000;

/** Runs each worker as a child process of this one. */
export function createProcessDriver(options: ProcessDriverOptions): WorkerDriver {
  const environments = createEnvironments(options);
  let stopRemoving = async () => {};
  return {
    name: "process",
    boundsWorkers: false,
    keepsWorkers: false,
    memoryBytes: async () => ownMemoryBytes(),
    readiness: async () => [],
    refusal(project) {
      const demand =
        project.isolation === "gvisor"
          ? "isolation: gvisor"
          : project.runtime && `runtime: ${project.runtime}`;
      return demand
        ? `${demand} needs the docker driver, and this deployment runs workers as plain processes. Remove it from the project file, or use a deployment with the docker driver.`
        : undefined;
    },
    async prepare(project, onProgress, signal) {
      await environments.prepare(project, onProgress, signal);
    },
    // No worker is found, because workers of this driver end with the process that started them. The
    // directories that they left are removed.
    async findRunning() {
      stopRemoving = await removeLeftovers(options.runDirectory, options.log);
      return [];
    },
    close: () => stopRemoving(),
    async start(project, workerId) {
      const directory = join(options.runDirectory, workerId);
      await mkdir(directory, { recursive: true, mode: 0o700 });
      const address = `unix:${join(directory, "worker.sock")}`;
      const child = spawn(
        options.python,
        workerArguments(options, project, workerId, directory, address, environments.pythonOf(project)),
        {
          // The worker gets nothing of this process's environment, because that may contain the values behind
          // ${env:} references.
          env: { PATH: "/usr/local/bin:/usr/bin:/bin", LANG: "C.UTF-8", PYTHONPATH: options.workerDirectory },
          // When this process dies, however it dies, the worker reads the end of its standard input and
          // exits.
          stdio: ["pipe", "ignore", "pipe"],
          // The worker gets a process group of its own, because a Ctrl-C on the terminal must reach only this
          // service, which then drains its workers.
          detached: true,
        },
      );
      await started(child);
      relayWorkerLog(child.stderr, options.log.child({ project: project.name, workerId }));
      const gone = new Promise<string>((resolve) => {
        child.once("exit", (code, signal) =>
          resolve(signal ? `was killed by ${signal}` : `exited with status ${code}`),
        );
      });
      // `removeTree` is used, because scripts wrote the scratch directories and may have made them hard to
      // remove.
      const removed = gone
        .then(() => removeTree(directory))
        .catch((error: unknown) => {
          options.log.error({ err: error, workerId }, "the directory of a worker could not be removed");
        });
      return {
        address,
        gone,
        async stop() {
          child.kill("SIGTERM");
          const force = setTimeout(() => child.kill("SIGKILL"), STOP_GRACE_MS);
          await gone;
          clearTimeout(force);
          await removed;
        },
      };
    },
  };
}

function workerArguments(
  options: ProcessDriverOptions,
  project: Project,
  workerId: string,
  directory: string,
  address: string,
  projectPython: string,
): string[] {
  return [
    ...["-m", "airlock_worker", "--worker-id", workerId, "--listen", address, "--run-dir", directory],
    // The worker keeps the output of runs on a disk (the data directory), because the run directory may be in
    // memory.
    ...["--output-dir", options.dataDirectory],
    ...["--python", projectPython, "--descriptors", options.descriptorsPath],
    ...projectArguments(project),
  ];
}

function started(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", (cause) =>
      reject(
        isShortage(cause)
          ? cause
          : new AirlockError(
              "start_failed",
              "The Python worker could not be started; the operator finds the reason in the log.",
              { cause },
            ),
      ),
    );
  });
}

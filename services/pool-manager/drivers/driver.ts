import type { Project } from "#common/projects/file.ts";
import type { Dependency } from "#proto/readiness.ts";

/** A running worker as its driver sees it: a process or a container that has an address. */
export type WorkerProcess = {
  /** The worker's gRPC target. The worker may need a moment before it answers. */
  readonly address: string;
  /**
   * Resolves when the worker is gone, to the end of a sentence such as "exited with status 1". Never rejects.
   */
  readonly gone: Promise<string>;
  /** Ends the worker and all that it started. Resolves when nothing of it is left. May be called again. */
  stop(): Promise<void>;
};

/** A running worker that an earlier process of this deployment started. */
export type FoundWorker = {
  /** The project's name. */
  readonly project: string;
  readonly workerId: string;
  readonly process: WorkerProcess;
  /**
   * Why the worker is to be replaced once its executions have ended; undefined when it would be started in
   * the same way today.
   */
  readonly outdated: string | undefined;
};

/** The port to the system that runs workers: child processes or a Docker engine. */
export type WorkerDriver = {
  /** "process" or "docker". */
  readonly name: string;
  /**
   * Whether each worker as a whole is bound by the project's limits (memory, CPUs, processes), so that
   * changed limits need a new worker.
   */
  readonly boundsWorkers: boolean;
  /** Whether workers run on after this process has ended, so that the next process finds them. */
  readonly keepsWorkers: boolean;
  /** The memory of the machine that runs the workers, in bytes; infinity when it is unknown. */
  memoryBytes(): Promise<number>;
  /**
   * The readiness of the systems that the driver needs to start workers, such as the Docker engine. Does not
   * reject.
   */
  readiness(): Promise<Dependency[]>;
  /** Why this driver can never run the project; undefined when it can. */
  refusal(project: Project): string | undefined;
  /**
   * Installs the project's packages, or builds its image, which may take minutes the first time. `onProgress`
   * reports the present step. Rejects with `start_failed` and the package's own error.
   */
  prepare(project: Project, onProgress: (step: string) => void, signal: AbortSignal): Promise<void>;
  /** Starts one worker of a prepared project. Rejects with `start_failed`. */
  start(project: Project, workerId: string): Promise<WorkerProcess>;
  /**
   * Finds the workers that an earlier process of this deployment left running, and removes everything else
   * that it left. `projectNamed` returns the project of that name; undefined when its file is missing or
   * broken, and its workers then count as outdated. Called once, before any worker is started.
   */
  findRunning(projectNamed: (name: string) => Project | undefined): Promise<readonly FoundWorker[]>;
  /**
   * Removes everything that the driver made besides workers, such as networks, except what is needed by
   * workers that run on.
   */
  close(): Promise<void>;
};

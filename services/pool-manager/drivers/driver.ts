import type { Project } from "#common/projects/file.ts";
import type { Dependency } from "#proto/readiness.ts";

/** A worker as its driver sees it: something that runs at an address until it does not. */
export type WorkerProcess = {
  /** A gRPC target; it may take a moment before it answers. */
  readonly address: string;
  /** Resolves, never rejects, when the worker is gone, with a sentence on how it went. */
  readonly gone: Promise<string>;
  /** Ends the worker and all it started; resolves when nothing of it is left. May be called again. */
  stop(): Promise<void>;
};

/** A worker that an earlier process of this deployment started and that runs on. */
export type FoundWorker = {
  /** The project's name. */
  readonly project: string;
  readonly workerId: string;
  readonly process: WorkerProcess;
  /** Why it is to be replaced when what lives on it has ended; undefined: it would be started just so today. */
  readonly outdated: string | undefined;
};

/** The port to whatever runs workers. */
export type WorkerDriver = {
  /** "process" or "docker". */
  readonly name: string;
  /** Whether its workers have a size of their own, made from the project's limits. */
  readonly boundsWorkers: boolean;
  /** Whether its workers run on when this process has gone, so that the next one finds them. */
  readonly keepsWorkers: boolean;
  /** The memory of the machine that its workers run on, in bytes. */
  memoryBytes(): Promise<number>;
  /** Whether it can start workers now, by what it needs besides this process. Does not reject. */
  readiness(): Promise<Dependency[]>;
  /** Why this driver can never run the project; undefined when it can. */
  refusal(project: Project): string | undefined;
  /**
   * Makes the project's packages ready, which may take minutes the first time; `onProgress` tells what is being
   * done. Rejects with `start_failed` and the package's own error.
   */
  prepare(project: Project, onProgress: (step: string) => void, signal: AbortSignal): Promise<void>;
  /** Starts one worker of a prepared project. Rejects with `start_failed`. */
  start(project: Project, workerId: string): Promise<WorkerProcess>;
  /**
   * The workers that still run; `projectNamed` gives the projects that can be used. Whatever else of this deployment an
   * earlier process left is removed. Asked once, before anything is started.
   */
  findRunning(projectNamed: (name: string) => Project | undefined): Promise<readonly FoundWorker[]>;
  /** Removes what it made besides workers, except what those need that run on. */
  close(): Promise<void>;
};

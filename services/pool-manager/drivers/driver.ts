import type { Project } from "../../common/project-file.ts";

/** A worker as its driver sees it: something that runs at an address until it does not. */
export type WorkerProcess = {
  /** A gRPC target; it may take a moment before it answers. */
  readonly address: string;
  /** Resolves, never rejects, when the worker is gone, with a sentence on how it went. */
  readonly gone: Promise<string>;
  /** Ends the worker and all it started; resolves when nothing of it is left. */
  stop(): Promise<void>;
};

/** The port to whatever runs workers. */
export type WorkerDriver = {
  /** "process" or "docker". */
  readonly name: string;
  /** Why this driver cannot run the project; undefined when it can. */
  refusal(project: Project): string | undefined;
  /**
   * Makes the project's packages ready, which may take minutes the first time; `onProgress` tells what is being
   * done. Rejects with `start_failed` and the package's own error.
   */
  prepare(project: Project, onProgress: (step: string) => void, signal: AbortSignal): Promise<void>;
  /** Starts one worker of a prepared project. Rejects with `start_failed`. */
  start(project: Project, workerId: string): Promise<WorkerProcess>;
};

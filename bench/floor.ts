import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../cli/tools.ts";
import { type LineProcess, startLineProcess } from "./line-process.ts";

/** A process that only forks, runs a script and reaps it. All other figures are compared with it. */
export type Floor = {
  /** The process id of the forking process; in a container, of the docker client that is attached to it. */
  readonly pid: number;
  /** Forks `count` times, one after the other, and resolves to the milliseconds of each. */
  run(code: string, count: number): Promise<number[]>;
  close(): Promise<void>;
};

const PROGRAM = join(import.meta.dirname, "floor.py");
// The environment that a worker gives its zygote.
const ENVIRONMENT = {
  PATH: "/usr/local/bin:/usr/bin:/bin",
  LANG: "C.UTF-8",
  TZ: "UTC",
  PYTHONHASHSEED: "0",
  OMP_NUM_THREADS: "1",
  OPENBLAS_NUM_THREADS: "1",
};

/** Starts the floor on this machine, with an interpreter that has `distributions` installed. */
export async function startFloor(python: string, distributions: readonly string[]): Promise<Floor> {
  const env = { ...ENVIRONMENT, PYTHONPATH: join(ROOT, "worker") };
  return floorOf(await startLineProcess([python, "-s", "-P", PROGRAM, ...distributions], env));
}

/** Starts the floor in a container of a worker's image, with the same limits as a worker's container. */
export async function startContainerFloor(
  image: string,
  runArguments: readonly string[],
  distributions: readonly string[],
): Promise<Floor> {
  const env = Object.entries(ENVIRONMENT).flatMap(([name, value]) => ["--env", `${name}=${value}`]);
  const container = ["--rm", "--interactive", "--init", ...runArguments, ...env];
  const python = ["--entrypoint", "/opt/airlock/project/bin/python", image];
  const program = ["-c", readFileSync(PROGRAM, "utf8"), ...distributions];
  return floorOf(await startLineProcess(["docker", "run", ...container, ...python, ...program], process.env));
}

function floorOf(zygote: LineProcess): Floor {
  return {
    pid: zygote.pid,
    run: async (code, count) => (await zygote.ask<{ ms: number[] }>({ code, count })).ms,
    close: () => zygote.close(),
  };
}

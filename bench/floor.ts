import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../cli/tools.ts";
import { type LineProcess, startLineProcess } from "./line-process.ts";

/** A zygote that only forks, runs a script and reaps; what everything else is compared with. */
export type Floor = {
  /** Of the zygote; of the client that attaches to it where it is in a container. */
  readonly pid: number;
  /** Milliseconds of each of `count` forks, one after the other. */
  run(code: string, count: number): Promise<number[]>;
  close(): Promise<void>;
};

const PROGRAM = join(import.meta.dirname, "floor.py");
// What a worker gives its zygote.
const ENVIRONMENT = {
  PATH: "/usr/local/bin:/usr/bin:/bin",
  LANG: "C.UTF-8",
  TZ: "UTC",
  PYTHONHASHSEED: "0",
  OMP_NUM_THREADS: "1",
  OPENBLAS_NUM_THREADS: "1",
};

/** On this machine, with the interpreter that has the distributions. */
export async function startFloor(python: string, distributions: readonly string[]): Promise<Floor> {
  const env = { ...ENVIRONMENT, PYTHONPATH: join(ROOT, "worker") };
  return floorOf(await startLineProcess([python, "-s", "-P", PROGRAM, ...distributions], env));
}

/** In a container of a worker's image, bounded as a worker's is. */
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

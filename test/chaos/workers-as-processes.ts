import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { childrenOf, commandLine, processesNaming, treeOf } from "../support/process-tree.ts";
import type { OpenWorkerHost } from "./worker-host.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const PYTHON = process.env.AIRLOCK_PYTHON ?? join(ROOT, ".venv", "bin", "python");

/** Runs workers as processes of this machine, as children of the pool-manager. */
export const workersAsProcesses: OpenWorkerHost = async (directory, poolManager) => {
  const run = join(directory, "run");
  const own = async () => (poolManager() ? await childrenOf(poolManager() as number) : []);
  const supervisors = async () => {
    const children = await own();
    const lines = await Promise.all(children.map(commandLine));
    return children.filter((_, index) => lines[index]?.includes("airlock_worker\0"));
  };
  return {
    services: new Map(),
    targets: [],
    causes: {
      // Workers end with their pool-manager.
      worker_lost: ["kill pool-manager", "kill supervisor", "kill zygote", "kill template", "kill run child"],
      killed: ["kill run child", "kill zygote", "kill template"],
      // A run is refused when it starts on a worker that is ending.
      start_failed: ["kill zygote", "kill template", "kill pool-manager"],
    },
    environmentOf: (service) =>
      service === "pool-manager" ? { AIRLOCK_RUN_DIR: run, AIRLOCK_PYTHON: PYTHON } : {},
    supervisors,
    injectFault: async () => undefined,
    async counts() {
      const tree = new Set(poolManager() ? await treeOf(poolManager() as number) : []);
      return {
        supervisors: (await supervisors()).length,
        // Processes that name the directory and are not below the pool-manager, whatever their parent is by now.
        strays: (await processesNaming(run)).filter((pid) => !tree.has(pid)).length,
        directories: (await readdir(run).catch(() => [])).length,
      };
    },
    expected(workers) {
      const all = Object.values(workers).reduce((sum, each) => sum + each, 0);
      return { supervisors: all, strays: 0, directories: all };
    },
    remove: async () => undefined,
  };
};

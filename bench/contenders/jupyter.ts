import { join } from "node:path";
import { startLineProcess } from "../line-process.ts";
import { lockedEnvironment } from "../locked-environment.ts";
import type { Contender } from "./contender.ts";

const DIRECTORY = join(import.meta.dirname, "..", "jupyter");

/**
 * A warm Jupyter kernel that runs all scripts. It is fast because it starts no process and resets no state
 * between scripts.
 */
export async function startJupyter(): Promise<Contender> {
  const environment = await lockedEnvironment("jupyter", join(DIRECTORY, "requirements.lock"));
  const python = join(environment, "bin", "python");
  const kernel = await startLineProcess([python, join(DIRECTORY, "kernel.py")], process.env);
  // Scripts wait for each other, because a kernel runs one at a time.
  let last: Promise<unknown> = Promise.resolve();
  return {
    name: "Jupyter kernel",
    parallel: false,
    run(code) {
      const run = last.then(() => kernel.ask({ code, count: 1 }));
      last = run.catch(() => undefined);
      return run.then(() => undefined);
    },
    close: () => kernel.close(),
  };
}

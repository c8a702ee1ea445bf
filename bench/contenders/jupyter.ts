import { join } from "node:path";
import { startLineProcess } from "../line-process.ts";
import { lockedEnvironment } from "../locked-environment.ts";
import type { Contender } from "./contender.ts";

const DIRECTORY = join(import.meta.dirname, "..", "jupyter");

/** A kernel that is warm and stays: fast, because it starts nothing and forgets nothing. */
export async function startJupyter(): Promise<Contender> {
  const environment = await lockedEnvironment("jupyter", join(DIRECTORY, "requirements.lock"));
  const python = join(environment, "bin", "python");
  const kernel = await startLineProcess([python, join(DIRECTORY, "kernel.py")], process.env);
  // One kernel runs one script at a time.
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

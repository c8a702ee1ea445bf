import { spawn } from "node:child_process";
import type { Contender } from "./contender.ts";

/** Starts `python3 -c`, a fresh interpreter, for each script. */
export function pythonContender(python: string, name: string): Contender {
  return commandContender(name, (code) => [python, "-c", code]);
}

/** Starts a container by `docker run` for each script. */
export function dockerRunContender(image: string): Contender {
  return commandContender("docker run", (code) => [
    ...["docker", "run", "--rm", "--network", "none", image],
    ...["python3", "-c", code],
  ]);
}

function commandContender(name: string, commandFor: (code: string) => string[]): Contender {
  return {
    name,
    parallel: true,
    run: (code) =>
      new Promise((resolve, reject) => {
        const [file = "", ...args] = commandFor(code);
        const child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"] });
        let errors = "";
        child.stdout.resume();
        child.stderr.on("data", (data) => {
          errors += data;
        });
        child.once("error", reject);
        child.once("close", (status) => {
          if (status === 0) resolve();
          else reject(new Error(`${name} ended with status ${status}: ${errors.trim()}`));
        });
      }),
    close: async () => undefined,
  };
}

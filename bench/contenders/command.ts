import { spawn } from "node:child_process";
import type { Contender } from "./contender.ts";

/** A process for each script, with a fresh interpreter: `python3 -c`. */
export function pythonContender(python: string, name: string): Contender {
  return commandContender(name, (code) => [python, "-c", code]);
}

/** A container for each script: `docker run`. */
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

import { createHash } from "node:crypto";
import { access, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PYTHON, ROOT, runQuietly } from "../../cli/tools.ts";
import { uvBeside } from "../../services/pool-manager/drivers/uv.ts";
import { startLineProcess } from "../line-process.ts";
import type { Contender } from "./contender.ts";

const DIRECTORY = join(import.meta.dirname, "..", "jupyter");

/** A kernel that is warm and stays: fast, because it starts nothing and forgets nothing. */
export async function startJupyter(): Promise<Contender> {
  const python = await environment();
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

/** An environment of the benchmark's own, made once for each lock. */
async function environment(): Promise<string> {
  const lock = join(DIRECTORY, "requirements.lock");
  const key = createHash("sha256")
    .update(await readFile(lock))
    .digest("hex")
    .slice(0, 16);
  const directory = join(ROOT, "node_modules", ".cache", "bench", `jupyter-${key}`);
  const python = join(directory, "bin", "python");
  const complete = join(directory, ".complete");
  if (await access(complete).then(isThere, isMissing)) return python;
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  await mustRun([PYTHON, "-m", "venv", "--without-pip", directory]);
  const install = ["pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", lock];
  await mustRun([uvBeside(PYTHON), ...install]);
  await writeFile(complete, "");
  return python;
}

const isThere = () => true;
const isMissing = () => false;

async function mustRun(command: readonly string[]): Promise<void> {
  const { ok, output } = await runQuietly(command);
  if (!ok) throw new Error(output.trim());
}

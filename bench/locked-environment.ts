import { createHash } from "node:crypto";
import { access, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PYTHON, ROOT, runQuietly } from "../cli/tools.ts";
import { uvBeside } from "../services/pool-manager/packages/uv.ts";

/**
 * Makes a Python environment with exactly the packages of the lock file, once for each content of that file.
 * Resolves to its directory.
 */
export async function lockedEnvironment(name: string, lock: string): Promise<string> {
  const key = createHash("sha256")
    .update(await readFile(lock))
    .digest("hex")
    .slice(0, 16);
  const directory = join(ROOT, "node_modules", ".cache", "environments", `${name}-${key}`);
  const complete = join(directory, ".complete");
  if (await access(complete).then(isThere, isMissing)) return directory;
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  await mustRun([PYTHON, "-m", "venv", "--without-pip", directory]);
  const python = join(directory, "bin", "python");
  const install = ["pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", lock];
  await mustRun([uvBeside(PYTHON), ...install]);
  await writeFile(complete, "");
  return directory;
}

const isThere = () => true;
const isMissing = () => false;

async function mustRun(command: readonly string[]): Promise<void> {
  const { ok, output } = await runQuietly(command);
  if (!ok) throw new Error(output.trim());
}

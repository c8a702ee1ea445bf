import { createHash } from "node:crypto";
import { access, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Project } from "#common/projects/file.ts";
import { createInstalls } from "./installs.ts";
import type { LockedProject } from "./locked-catalogue.ts";
import { lockHeader } from "./requirements.ts";
import { runInstaller, uvBeside } from "./uv.ts";

/**
 * Python virtual environments for the process driver, each with exactly a project's packages. Equal sets of
 * packages share one environment and are installed once.
 */
export type Environments = {
  /**
   * Makes the project's environment unless it exists. `onProgress` reports the present step. Rejects with
   * `start_failed`.
   */
  prepare(project: LockedProject, onProgress: (step: string) => void, signal: AbortSignal): Promise<void>;
  /** The path of the interpreter of a prepared project. Throws when the project was not prepared. */
  pythonOf(project: Project): string;
};

// The file that marks an environment in which all packages are installed.
const COMPLETE = ".complete";
// The lock file that earlier releases of Airlock left in an environment. It is removed, because scripts can
// read it, and its URLs may hold passwords.
const EARLIER_LOCK = "requirements.lock";

export function createEnvironments(options: {
  readonly python: string;
  readonly dataDirectory: string;
}): Environments {
  const uv = uvBeside(options.python);
  const installs = createInstalls();
  const underWay = new Map<string, Promise<void>>();
  // By project file, because a start that began before the file changed may prepare its environment last.
  const prepared = new WeakMap<Project, string>();

  const build = async (
    directory: string,
    project: Project,
    lock: string | undefined,
    onProgress: (step: string) => void,
    signal: AbortSignal,
  ) => {
    // The files of an earlier, interrupted build are removed, because they may be incomplete.
    await rm(directory, { recursive: true, force: true });
    await mkdir(directory, { recursive: true });
    onProgress("making a Python environment");
    await runInstaller(options.python, ["-m", "venv", "--without-pip", directory], [], signal);
    const python = join(directory, "bin", "python");
    if (project.packages.length > 0) {
      // The lock lies beside the environment, because scripts can read files in it, and a URL in a lock may
      // hold a password.
      const lockPath = `${directory}.lock`;
      try {
        if (lock === undefined) {
          onProgress("resolving packages");
          await compileLock(uv, project.packages, python, lockPath, signal);
        } else {
          await writeFile(lockPath, lock, { mode: 0o600 });
        }
        onProgress("installing packages");
        await runInstaller(
          uv,
          // Bytecode is compiled here. Scripts cannot write into the environment, so otherwise each Python
          // that they start would compile its imports anew.
          [
            "pip",
            "install",
            "--quiet",
            "--compile-bytecode",
            "--python",
            python,
            "--require-hashes",
            "-r",
            lockPath,
          ],
          project.packages,
          signal,
        );
        await forgetSources(directory);
      } finally {
        await rm(lockPath, { force: true });
      }
    }
    await writeFile(join(directory, COMPLETE), "");
  };

  return {
    async prepare(project, onProgress, signal) {
      const { lock } = project;
      const key = createHash("sha256")
        .update(JSON.stringify([options.python, project.packages, lock]))
        .digest("hex")
        .slice(0, 16);
      const directory = join(options.dataDirectory, "environments", key);
      prepared.set(project, join(directory, "bin", "python"));
      if (await exists(join(directory, COMPLETE))) {
        await forgetSources(directory, EARLIER_LOCK);
        return;
      }
      let building = underWay.get(key);
      if (!building) {
        const install = () => build(directory, project, lock, onProgress, signal);
        building = installs(onProgress, signal, install).finally(() => underWay.delete(key));
        underWay.set(key, building);
      }
      await building;
    },
    pythonOf(project) {
      const python = prepared.get(project);
      if (!python) throw new Error(`project ${project.name} was not prepared`);
      return python;
    },
  };
}

/**
 * Removes the files in which installers note where packages came from (`direct_url.json`, PEP 610). Scripts
 * can read these files, and a URL in them may hold a password. With `onlyIf`, the name of a file in
 * `directory`, this happens only when that file exists, and the file is removed too.
 */
async function forgetSources(directory: string, onlyIf?: string): Promise<void> {
  if (onlyIf !== undefined && !(await exists(join(directory, onlyIf)))) return;
  const lib = join(directory, "lib");
  for (const path of await readdir(lib, { recursive: true })) {
    if (basename(path) === "direct_url.json") await rm(join(lib, path));
  }
  if (onlyIf !== undefined) await rm(join(directory, onlyIf));
}

/**
 * Writes a lock file with hashes for `packages` to `lockPath`. The lock fits every supported Python version
 * and platform. Rejects with `start_failed` when the packages cannot be resolved.
 */
export async function compileLock(
  uv: string,
  packages: readonly string[],
  python: string,
  lockPath: string,
  signal: AbortSignal,
): Promise<void> {
  const inputPath = `${lockPath}.in`;
  await writeFile(inputPath, `${packages.join("\n")}\n`);
  try {
    await runInstaller(
      uv,
      [
        ...["pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-annotate", "--no-header"],
        ...["--python", python, "--python-version", "3.11", "-o", lockPath, inputPath],
      ],
      packages,
      signal,
    );
    await writeFile(lockPath, `${lockHeader(packages)}\n${await readFile(lockPath, "utf8")}`);
  } finally {
    await rm(inputPath, { force: true });
  }
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

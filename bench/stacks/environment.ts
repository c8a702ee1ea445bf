import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { ProjectName } from "../projects.ts";

/** The path of the interpreter that the process driver installed for a project. */
export async function environmentPython(dataDirectory: string, project: ProjectName): Promise<string> {
  const environments = join(dataDirectory, "environments");
  for (const name of await readdir(environments)) {
    const directory = join(environments, name);
    const packages = await readdir(join(directory, "lib"), { recursive: true }).catch(() => []);
    const hasPackages = packages.some((path) => path.endsWith(".dist-info"));
    if (hasPackages === (project === "pandas")) return join(directory, "bin", "python");
  }
  throw new Error(`no environment of the project ${project} in ${environments}`);
}

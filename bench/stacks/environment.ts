import { access, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { ProjectName } from "../projects.ts";

/** The interpreter that the process driver made for a project; only one with packages has a lock. */
export async function environmentPython(dataDirectory: string, project: ProjectName): Promise<string> {
  const environments = join(dataDirectory, "environments");
  for (const name of await readdir(environments)) {
    const hasPackages = await access(join(environments, name, "requirements.lock")).then(
      () => true,
      () => false,
    );
    if (hasPackages === (project === "pandas")) return join(environments, name, "bin", "python");
  }
  throw new Error(`no environment of the project ${project} in ${environments}`);
}

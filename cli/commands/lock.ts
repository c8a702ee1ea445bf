import { existsSync } from "node:fs";
import { join } from "node:path";
import { isUsable, openProjectCatalogue } from "#common/projects/catalogue.ts";
import { shownRequirement } from "#common/projects/url-credentials.ts";
import { compileLock } from "../../services/pool-manager/packages/environments.ts";
import { uvBeside } from "../../services/pool-manager/packages/uv.ts";
import { readEmbeddedConfig } from "../embedded/config.ts";

/** `./airlock lock NAME` pins the project's packages, with hashes, in NAME.lock beside the project file. */
export async function lock(args: readonly string[]): Promise<number> {
  const [name, ...flags] = args;
  if (name === undefined || name.startsWith("-")) {
    process.stderr.write("Usage: ./airlock lock NAME [--projects DIR]\n");
    return 2;
  }
  const { projectsDirectory, settings } = readEmbeddedConfig(flags, process.env);
  const { python } = settings["pool-manager"];
  const project = (await openProjectCatalogue(projectsDirectory)).get(name);
  if (!project || !isUsable(project)) {
    process.stderr.write(`${project?.problem ?? `There is no project "${name}" in ${projectsDirectory}.`}\n`);
    return 1;
  }
  const path = join(projectsDirectory, `${name}.lock`);
  // An existing lock file is rewritten even for a project without packages, because the file still pins
  // packages that the project no longer has.
  if (project.packages.length === 0 && !existsSync(path)) {
    process.stdout.write(`Project "${name}" has no packages, so it needs no lock file.\n`);
    return 0;
  }
  await compileLock(uvBeside(python), project.packages, python, path, AbortSignal.timeout(300_000));
  const packages = project.packages.map(shownRequirement).join(", ");
  process.stdout.write(`${path} pins ${packages || "no packages"}.\n`);
  return 0;
}

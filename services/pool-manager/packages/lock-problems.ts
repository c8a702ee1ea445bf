import { stat } from "node:fs/promises";
import { join } from "node:path";
import { AirlockError, isShortage } from "#common/errors.ts";
import { isUsable, type ProjectCatalogue } from "#common/projects/catalogue.ts";
import type { Project } from "#common/projects/file.ts";
import { systemReason } from "#common/system-reason.ts";
import { readLock } from "./environments.ts";

/**
 * Returns a check that finds the projects whose lock file was made for other packages, or cannot be read.
 * Resolves to a sentence for each, by project name. A file that has not changed is not read again.
 */
export function createLockProblems(
  projectsDirectory: string,
  projects: Pick<ProjectCatalogue, "list">,
): () => Promise<ReadonlyMap<string, string>> {
  const known = new Map<string, { readonly stamp: string; readonly problem: string | undefined }>();

  const problemOf = async (project: Project): Promise<string | undefined> => {
    const found = await stat(join(projectsDirectory, `${project.name}.lock`)).catch(unlessShortage);
    const stamp = `${project.poolRevision}:${found?.mtimeMs}:${found?.size}:${found?.ino}`;
    const last = known.get(project.name);
    if (last?.stamp === stamp) return last.problem;
    const problem = found && (await checked(project));
    known.set(project.name, { stamp, problem });
    return problem;
  };

  const checked = (project: Project): Promise<string | undefined> =>
    readLock(projectsDirectory, project).then(
      () => undefined,
      (error: unknown) => {
        if (error instanceof AirlockError) return error.message;
        // A shortage on this machine (of memory or file descriptors) says nothing about the lock file. So
        // this check rejects, and the result of the last one still counts.
        if (isShortage(error)) throw error;
        return `${project.name}.lock cannot be read: ${systemReason(error)}.`;
      },
    );

  return async () => {
    const usable = projects.list().filter(isUsable);
    for (const name of known.keys()) if (!usable.some((project) => project.name === name)) known.delete(name);
    const problems = await Promise.all(
      usable.map(async (project) => [project.name, await problemOf(project)] as const),
    );
    return new Map(problems.flatMap(([name, problem]) => (problem === undefined ? [] : [[name, problem]])));
  };
}

function unlessShortage(error: unknown): undefined {
  if (isShortage(error)) throw error;
}

import { AirlockError } from "../errors.ts";
import { projectNotFound } from "../execution-refusals.ts";
import { isUsable, type ProjectCatalogue } from "./catalogue.ts";
import type { Project, ProjectProblem } from "./file.ts";

/**
 * The project with this name. Throws `project_not_found`, or `project_invalid` when its file has an error.
 */
export function usableProject(catalogue: Pick<ProjectCatalogue, "get" | "list">, name: string): Project {
  const entry = catalogue.get(name);
  if (!entry) throw projectUnknown(catalogue);
  if (isUsable(entry)) return entry;
  throw projectInvalid(entry);
}

/**
 * The error for an unknown project. It names the projects that can be used, because an agent can do nothing
 * with those whose file has an error.
 */
export function projectUnknown(catalogue: Pick<ProjectCatalogue, "list">): AirlockError {
  const all = catalogue.list();
  const names = all.filter(isUsable).map(({ name }) => name);
  return projectNotFound(names, all.length - names.length);
}

export function projectInvalid({ name, problem }: ProjectProblem): AirlockError {
  return new AirlockError(
    "project_invalid",
    `Project "${name}" cannot be used until the operator corrects its file: ${problem}`,
  );
}

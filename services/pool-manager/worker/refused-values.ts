import { asAirlockError } from "#common/errors.ts";
import type { Project } from "#common/projects/file.ts";
import type { Log } from "#common/service/log.ts";
import type { Provision } from "./provisioning.ts";

/**
 * Fetches values (settings, limits, secrets) for workers, and remembers the projects for which that fails.
 */
export type WatchedProvisioning = {
  readonly provide: (project: Project) => Promise<Provision>;
  /**
   * Why the project cannot be given its secrets; undefined when the last attempt succeeded, or none was made.
   */
  problemOf(project: string): string | undefined;
  /**
   * Fetches the values of a project again when the last attempt failed, so that a problem that the operator
   * has solved is not shown any more. Does not reject.
   */
  askAgain(project: Project): Promise<void>;
};

/**
 * Wraps `provision`. Logs once when a project cannot be given its secrets, again when the reason changes, and
 * once when it can be given them again.
 */
export function watchProvisioning(
  provision: (project: Project) => Promise<Provision>,
  log: Log,
): WatchedProvisioning {
  const problems = new Map<string, string>();
  const asking = new Map<string, Promise<void>>();

  const provide = async (project: Project): Promise<Provision> => {
    const { name } = project;
    try {
      const provided = await provision(project);
      if (problems.delete(name)) log.info({ project: name }, "the project is given its secrets again");
      return provided;
    } catch (error) {
      const detail = asAirlockError(error).message;
      if (problems.get(name) !== detail) {
        log.warn(
          { project: name, detail },
          "the project cannot be given its secrets; no script of it starts",
        );
      }
      problems.set(name, detail);
      throw error;
    }
  };
  return {
    provide,
    problemOf: (project) => problems.get(project),
    async askAgain(project) {
      const { name } = project;
      if (!problems.has(name) || asking.has(name)) return await asking.get(name);
      const asked = provide(project).then(
        () => undefined,
        () => undefined,
      );
      asking.set(name, asked);
      await asked;
      asking.delete(name);
    },
  };
}

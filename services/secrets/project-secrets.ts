import { AirlockError } from "#common/errors.ts";
import { isUsable, type ProjectCatalogue } from "#common/projects/catalogue.ts";
import type { Project } from "#common/projects/file.ts";
import { usableProject } from "#common/projects/usable-project.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { Resolved, SecretHistory } from "./history.ts";
import { createInOrder } from "./in-order.ts";
import type { NeedleCheck } from "./needle-check.ts";
import { createProblemChecks } from "./problem-checks.ts";
import { localSecrets, resolveSecrets } from "./resolver.ts";
import type { SecretSources } from "./sources/source.ts";

/** The secret values of each project, now and at earlier versions. */
export type ProjectSecrets = {
  /**
   * The values of the project's secrets, read now from their sources. Rejects with the AirlockErrors of
   * `usableProject` and `resolveSecrets`, and with `start_failed` when the values are too large to be
   * searched for in output.
   */
  current(projectName: string): Promise<Resolved>;
  /**
   * The values that had this version, for the sanitizer of a run that began with them. Rejects with
   * `output_withheld` when the version is no longer known, because output cannot be redacted without its
   * values.
   */
  ofVersion(projectName: string, version: string): Promise<Resolved>;
  /**
   * A sentence for each usable project whose secrets have a problem, within a second. Secrets in a configured
   * vault are not checked, because a check must not wait for another system.
   */
  problems(): Promise<{ readonly project: string; readonly problem: string }[]>;
};

export function createProjectSecrets(
  catalogue: ProjectCatalogue,
  sources: SecretSources,
  history: SecretHistory,
  needleCheck: NeedleCheck,
  clock: Clock,
): ProjectSecrets {
  // Readings of one project run one after the other. If two overlapped, the earlier one could finish last,
  // and its old values would be recorded as the new ones.
  const inOrder = createInOrder();
  const current = (projectName: string): Promise<Resolved> =>
    inOrder(projectName, async () => {
      await catalogue.refresh(projectName);
      const project = usableProject(catalogue, projectName);
      const secrets = await resolveSecrets(project, sources);
      const problem = await needleCheck.beforeRun(projectName, secrets);
      if (problem === undefined) return history.record(projectName, secrets);
      throw new AirlockError(
        "start_failed",
        `Project "${projectName}" cannot be given its secrets. ${problem}`,
      );
    });
  const problemOf = async (project: Project): Promise<string> => {
    const { secrets, problems } = await localSecrets(project, sources);
    return [...problems, (await needleCheck.ofFile(project.name, secrets)) ?? ""].join(" ").trim();
  };
  const check = createProblemChecks(problemOf, clock);
  return {
    current,
    async ofVersion(projectName, version) {
      const known = history.find(projectName, version);
      if (known) return known;
      // The history is empty after a restart of the secrets service, because it is kept in memory. The wanted
      // version may still be that of the current values.
      const now = await current(projectName);
      if (now.version === version) return now;
      throw new AirlockError(
        "output_withheld",
        `The values of project "${projectName}" that were asked for are not known any more: they were replaced before this service started, or more than a day ago.`,
      );
    },
    async problems() {
      await catalogue.refresh();
      const found = await Promise.all(
        catalogue.list().map(async (entry) => ({
          project: entry.name,
          problem: isUsable(entry) ? await check(entry) : "",
        })),
      );
      return found.filter(({ problem }) => problem !== "");
    },
  };
}

import { AirlockError } from "#common/errors.ts";
import { isUsable, type ProjectCatalogue } from "#common/projects/catalogue.ts";
import type { Project } from "#common/projects/file.ts";
import { usableProject } from "#common/projects/usable-project.ts";
import type { Resolved, SecretHistory } from "./history.ts";
import { createInOrder } from "./in-order.ts";
import type { NeedleRoom } from "./needle-room.ts";
import { localSecrets, resolveSecrets } from "./resolver.ts";
import type { SecretSources } from "./sources/source.ts";

/** The values of each project. */
export type ProjectSecrets = {
  /** As they are now. */
  current(projectName: string): Promise<Resolved>;
  /** As they were under this version. Rejects with `output_withheld` when it is not known any more. */
  ofVersion(projectName: string, version: string): Promise<Resolved>;
  /** What is wrong with the secrets of usable projects, in sentences; no vault is asked. */
  problems(): Promise<{ readonly project: string; readonly problem: string }[]>;
};

export function createProjectSecrets(
  catalogue: ProjectCatalogue,
  sources: SecretSources,
  history: SecretHistory,
  room: NeedleRoom,
): ProjectSecrets {
  // Of two that overlap, the one that read earlier could finish later, as if the old value were the new one.
  const inOrder = createInOrder();
  const current = (projectName: string): Promise<Resolved> =>
    inOrder(`project ${projectName}`, async () => {
      await inOrder("catalogue", catalogue.refresh);
      const project = usableProject(catalogue, projectName);
      const secrets = await resolveSecrets(project, sources);
      const problem = await room(projectName, secrets);
      if (problem === undefined) return history.record(projectName, secrets);
      throw new AirlockError(
        "start_failed",
        `Project "${projectName}" cannot be given its secrets. ${problem}`,
      );
    });
  const problemOf = async (project: Project): Promise<string> => {
    const { secrets, problems } = await localSecrets(project, sources);
    return [...problems, (await room(`${project.name} as it is known here`, secrets)) ?? ""].join(" ").trim();
  };
  return {
    current,
    async ofVersion(projectName, version) {
      const known = history.find(projectName, version);
      if (known) return known;
      // After a restart only what is current now is known.
      const now = await current(projectName);
      if (now.version === version) return now;
      throw new AirlockError(
        "output_withheld",
        `The values of project "${projectName}" that were asked for are not known any more: they were replaced before this service started, or more than a day ago.`,
      );
    },
    async problems() {
      await inOrder("catalogue", catalogue.refresh);
      const found = await Promise.all(
        catalogue.list().map(async (entry) => ({
          project: entry.name,
          // An unforeseen error of one project hides no mistake of another.
          problem: isUsable(entry)
            ? await problemOf(entry).catch(() => "Its secrets cannot be checked now.")
            : "",
        })),
      );
      return found.filter(({ problem }) => problem !== "");
    },
  };
}

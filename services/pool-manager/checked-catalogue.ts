import { isUsable, type ProjectCatalogue } from "#common/projects/catalogue.ts";
import type { Project, ProjectProblem } from "#common/projects/file.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";

/**
 * Looks for problems that project files do not show, such as a secret that cannot be read, or an outdated
 * lock file. Resolves to a sentence for each broken project, by project name. Rejects while the check cannot
 * be made, for example while the secrets service is away.
 */
export type AskProblems = () => Promise<ReadonlyMap<string, string>>;

// Milliseconds that a request about projects waits for the checks, because a secrets service that does not
// answer must not delay every such request. A request that finds changed project files while checks run may
// wait twice as long.
const LONGEST_WAIT_MS = 1_000;

/** The latest result of one check. */
type Found = {
  /** A sentence for each broken project, by project name. */
  readonly problems: ReadonlyMap<string, string>;
  /**
   * The projects as they were when the check began, by name. The result says nothing about a project whose
   * file has changed since.
   */
  readonly about: ReadonlyMap<string, Project | ProjectProblem>;
};

/**
 * Adds the results of checks to the projects of `files`. A project is listed with a problem, like one whose
 * file cannot be read, when this deployment cannot run it (`refusalOf`) or one of the checks reports a
 * problem. A problem is logged once when it appears, and once when it is gone.
 */
export function createCheckedCatalogue(
  files: ProjectCatalogue,
  refusalOf: (project: Project) => string | undefined,
  checks: readonly AskProblems[],
  clock: Clock,
  log: Log,
): ProjectCatalogue {
  const found: Found[] = checks.map(() => ({ problems: new Map(), about: new Map() }));
  let checking: Promise<void> | undefined;
  const logged = new Map<string, string>();

  const foundIn = (project: Project) =>
    found.flatMap(({ problems, about }) =>
      about.get(project.name) === project ? (problems.get(project.name) ?? []) : [],
    )[0];

  const list = () =>
    files.list().map((entry) => {
      const problem = isUsable(entry) ? (refusalOf(entry) ?? foundIn(entry)) : undefined;
      return problem === undefined ? entry : { name: entry.name, problem };
    });

  const logChanges = () => {
    const broken = new Map(list().flatMap((entry) => (isUsable(entry) ? [] : [[entry.name, entry.problem]])));
    for (const [project, detail] of broken) {
      if (logged.get(project) === detail) continue;
      log.warn({ project, detail }, "the project cannot be used; the others work");
      logged.set(project, detail);
    }
    for (const project of [...logged.keys()].filter((name) => !broken.has(name))) {
      log.info({ project }, "the project is in order again");
      logged.delete(project);
    }
  };

  const check = async (ask: AskProblems, index: number) => {
    const about = new Map(files.list().map((entry) => [entry.name, entry]));
    try {
      found[index] = { problems: await ask(), about };
    } catch {
      // The check could not be made, for example because the secrets service is away. The result of the last
      // check that could be made still counts.
    }
    logChanges();
  };

  logChanges();
  return {
    list,
    unreadable: files.unreadable,
    get: (name) => list().find((entry) => entry.name === name),
    async refresh(awaited) {
      const changed = await files.refresh(awaited);
      // A check that began before the project files changed does not know the change, so another check
      // follows.
      if (changed && checking) await atMost(LONGEST_WAIT_MS, checking, clock);
      checking ??= Promise.all(checks.map(check)).then(() => {
        checking = undefined;
      });
      if (changed || found.some(({ problems }) => problems.size > 0))
        await atMost(LONGEST_WAIT_MS, checking, clock);
      return changed;
    },
  };
}

function atMost(ms: number, work: Promise<void>, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const stopTimer = clock.after(ms, resolve);
    void work.finally(() => {
      stopTimer();
      resolve();
    });
  });
}

import type { Project } from "#common/projects/file.ts";
import type { Clock } from "#common/resilience/clock.ts";

/** Milliseconds that one project's check may take; less than the pool-manager waits for the checks of all. */
const WITHIN_MS = 700;

type Check = { readonly project: Project; readonly done: Promise<string>; latest: string };

/**
 * Checks each project in a time of its own, because a file that is being written, or a file system that hangs,
 * must not hide the problems of other projects. Resolves to the problem, empty for none. A check that takes
 * longer goes on; until it ends the project has the problem that was found last for the same project file.
 */
export function createProblemChecks(
  problemOf: (project: Project) => Promise<string>,
  clock: Clock,
): (project: Project) => Promise<string> {
  const checks = new Map<string, Check>();
  const latest = new Map<string, { readonly project: Project; readonly problem: string }>();
  const begin = (project: Project): Check => {
    const known = latest.get(project.name);
    const done = problemOf(project)
      // An unexpected error in one project must not hide the problems of another.
      .catch(() => "The secrets service cannot check them now.")
      .then((problem) => {
        if (checks.get(project.name) === check) checks.delete(project.name);
        latest.set(project.name, { project, problem });
        return problem;
      });
    const check: Check = { project, done, latest: known?.project === project ? known.problem : "" };
    checks.set(project.name, check);
    return check;
  };
  return async (project) => {
    const running = checks.get(project.name);
    const check = running?.project === project ? running : begin(project);
    const waited = Promise.withResolvers<string>();
    const stopTimer = clock.after(WITHIN_MS, () => waited.resolve(check.latest));
    try {
      return await Promise.race([check.done, waited.promise]);
    } finally {
      stopTimer();
    }
  };
}

import type { Project } from "#common/projects/file.ts";
import type { Clock } from "#common/resilience/clock.ts";

/**
 * Milliseconds that one project's check may take; less than the second that the pool-manager waits for the
 * checks of all projects together.
 */
const WITHIN_MS = 700;

type Check = { readonly project: Project; readonly done: Promise<string>; latest: string };

/**
 * Returns a function that checks the secrets of one project and resolves to the problem as a sentence, empty
 * for none. The function answers within WITHIN_MS, because a secret's file that is being written, or a file
 * system that hangs, must not hide the problems of other projects. A check that takes longer goes on in the
 * background. Until that check ends, the function resolves to the problem that the last check of the same
 * project file found.
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

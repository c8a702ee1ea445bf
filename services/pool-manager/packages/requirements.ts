import type { Project } from "#common/projects/file.ts";

/** The name of the distribution in a PEP 508 requirement: `pandas` for `pandas[excel]>=3,<4`. */
export function distributionName(requirement: string): string {
  return /^[A-Za-z0-9][A-Za-z0-9._-]*/.exec(requirement)?.[0] ?? requirement;
}

/**
 * The worker's command-line arguments for a project: the modules to import before the first run, and the
 * programs that scripts may start.
 */
export function projectArguments({
  preload,
  packages,
  programs,
}: Pick<Project, "preload" | "packages" | "programs">): string[] {
  return [
    ...(preload
      ? preload.flatMap((module) => ["--import", module])
      : packages.flatMap((requirement) => ["--import-of", distributionName(requirement)])),
    ...["--programs", programs.join(",")],
  ];
}

const MARK = "# airlock packages: ";

/**
 * The first line of a lock file. The line names the packages that the lock was made for, so that an outdated
 * lock is found.
 */
export function lockHeader(packages: readonly string[]): string {
  return `${MARK}${JSON.stringify([...packages].sort())}`;
}

/** Whether the text of a lock file was made for these packages. */
export function isLockFor(lock: string, packages: readonly string[]): boolean {
  return lock.split("\n", 1)[0] === lockHeader(packages);
}

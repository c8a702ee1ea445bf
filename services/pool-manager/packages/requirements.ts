import type { Project } from "#common/projects/file.ts";

/** The distribution that a PEP 508 requirement names: `pandas[excel]>=3,<4` is `pandas`. */
export function distributionName(requirement: string): string {
  return /^[A-Za-z0-9][A-Za-z0-9._-]*/.exec(requirement)?.[0] ?? requirement;
}

/** Tells a worker what its runs find: what is imported before the first of them, and the machine's programs. */
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

/** The first line of a lock file: it says for which packages the lock was made. */
export function lockHeader(packages: readonly string[]): string {
  return `${MARK}${JSON.stringify([...packages].sort())}`;
}

/** Whether the text of a lock file was made for these packages. */
export function isLockFor(lock: string, packages: readonly string[]): boolean {
  return lock.split("\n", 1)[0] === lockHeader(packages);
}

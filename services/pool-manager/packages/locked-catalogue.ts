import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { isShortage } from "#common/errors.ts";
import { isUsable, type ProjectCatalogue } from "#common/projects/catalogue.ts";
import type { Project, ProjectProblem } from "#common/projects/file.ts";
import { type KnownFile, lookAtFile, lookUntil } from "#common/projects/watched-file.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import { systemReason } from "#common/system-reason.ts";
import { isLockFor } from "./requirements.ts";

/** A project with the text of its lock file; undefined when it has none, and packages are resolved at a start. */
export type LockedProject = Project & { readonly lock?: string | undefined };

type Lock = { readonly text: string } | { readonly unreadable: string };
type Looked = {
  readonly file: KnownFile<Lock>;
  /** Whether the lock file has been complete, or absent, at any look. */
  readonly wasComplete: boolean;
};

/**
 * Adds the lock files (`NAME.lock`) to the projects of `files`. A changed lock changes the project's
 * `poolRevision`, because workers with different versions of packages must not serve at the same time: the same
 * script would give different results. A lock that was made for other packages, or cannot be read, is a problem of
 * its project.
 */
export async function openLockedCatalogue(
  files: ProjectCatalogue,
  directory: string,
  clock: Clock,
  log: Log,
): Promise<ProjectCatalogue> {
  let locks: ReadonlyMap<string, Looked> = new Map();
  const made = new Map<
    string,
    { project: Project; lock: Lock | undefined; entry: Project | ProjectProblem }
  >();

  const look = async (project: Project): Promise<Looked> => {
    const path = join(directory, `${project.name}.lock`);
    const before = locks.get(project.name);
    const file = await lookAtFile(path, before?.file, () => readLock(path), clock);
    if (before?.file.entry && !file.entry)
      log.warn(
        { project: project.name },
        "the lock file is gone; the packages of the project are resolved anew",
      );
    return { file, wasComplete: before?.wasComplete === true || file.changed === undefined };
  };
  const lookAtAll = async (): Promise<boolean> => {
    const before = locks;
    const usable = files.list().filter(isUsable);
    locks = new Map(
      await Promise.all(usable.map(async (project) => [project.name, await look(project)] as const)),
    );
    return usable.some(({ name }) => locks.get(name)?.file.entry !== before.get(name)?.file.entry);
  };
  /** Looks at the lock files until no awaited one is new and still being written. */
  const lookUntilComplete = (isAwaited: (name: string) => boolean): Promise<boolean> => {
    const isComplete = () => [...locks].every(([name, { wasComplete }]) => !isAwaited(name) || wasComplete);
    return lookUntil(lookAtAll, isComplete, clock);
  };
  /** The project with its lock, which is the same object until one of the two changes. */
  const withLock = (project: Project): (Project | ProjectProblem)[] => {
    const looked = locks.get(project.name);
    // A new project is left out until its lock file has been looked at, because a worker without the lock could
    // be started otherwise.
    if (!looked?.wasComplete) return [];
    const lock = looked.file.entry;
    const known = made.get(project.name);
    if (known?.project === project && known.lock === lock) return [known.entry];
    const entry = lockedProject(project, lock);
    made.set(project.name, { project, lock, entry });
    return [entry];
  };
  const list = () => files.list().flatMap((entry) => (isUsable(entry) ? withLock(entry) : entry));

  await lookUntilComplete(() => true);
  return {
    list,
    unreadable: files.unreadable,
    get: (name) => list().find((entry) => entry.name === name),
    async refresh(awaited) {
      const hasChanged = await files.refresh(awaited);
      try {
        return (await lookUntilComplete((name) => name === awaited)) || hasChanged;
      } catch {
        // A shortage of this machine says nothing about the lock files, so they stay as they were.
        return hasChanged;
      }
    },
  };
}

async function readLock(path: string): Promise<Lock> {
  try {
    return { text: await readFile(path, "utf8") };
  } catch (error) {
    if (isShortage(error)) throw error;
    return { unreadable: systemReason(error) };
  }
}

function lockedProject(project: Project, lock: Lock | undefined): Project | ProjectProblem {
  if (lock === undefined) return project;
  const { name, packages, poolRevision } = project;
  if ("unreadable" in lock) return { name, problem: `${name}.lock cannot be read: ${lock.unreadable}.` };
  if (!isLockFor(lock.text, packages)) {
    return {
      name,
      problem: `${name}.lock was made for other packages than ${name}.yaml names; the operator makes a new one with ./airlock lock ${name}.`,
    };
  }
  const revision = createHash("sha256").update(JSON.stringify([poolRevision, lock.text]));
  const locked: LockedProject = {
    ...project,
    lock: lock.text,
    poolRevision: revision.digest("hex").slice(0, 16),
  };
  return Object.freeze(locked);
}

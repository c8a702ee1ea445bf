import { isUtf8 } from "node:buffer";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { isShortage } from "../errors.ts";
import { type Clock, systemClock } from "../resilience/clock.ts";
import { systemReason } from "../system-reason.ts";
import { MAX_PROJECT_FILE_BYTES, type Project, type ProjectProblem, parseProjectFile } from "./file.ts";
import { type KnownFile, lookAtFile, lookUntil } from "./watched-file.ts";

type Entry = Project | ProjectProblem;

/**
 * The projects of one directory, from one YAML file each. `refresh` reads the files again that have changed.
 */
export type ProjectCatalogue = {
  /** All projects sorted by name, also those whose file has an error. */
  list(): Entry[];
  /** The project with this name, or the problem of its file; undefined when no file has the name. */
  get(name: string): Entry | undefined;
  /**
   * Reads the directory again; resolves to whether anything changed. When the directory cannot be read, the
   * projects stay as they were. A project whose file is being written stays as it was, too. If it cannot be
   * used as it was, and is the project `awaited`, the call waits until the file is complete, for 1.5 s at most.
   */
  refresh(awaited?: string): Promise<boolean>;
  /** The reason, in words, why the last `refresh` failed; undefined when it succeeded. */
  unreadable(): string | undefined;
};

export function isUsable(entry: Project | ProjectProblem): entry is Project {
  return !("problem" in entry);
}

/**
 * Opens the catalogue of `directory`, and waits until all of its files are complete, for 1.5 s at most. Rejects
 * when the directory cannot be read.
 */
export async function openProjectCatalogue(
  directory: string,
  clock: Clock = systemClock,
): Promise<ProjectCatalogue> {
  let files = new Map<string, KnownFile<Entry>>();
  let unreadable: string | undefined;
  const read = async () => {
    const names = (await readdir(directory)).filter((name) => /\.ya?ml$/i.test(name));
    const next = new Map<string, KnownFile<Entry>>();
    let hasChanged = false;
    for (const fileName of [...new Set([...names, ...files.keys()])].sort()) {
      const known = files.get(fileName);
      const path = join(directory, fileName);
      const seen = await lookAtFile(path, known, () => readProject(path, fileName), clock);
      if (seen.entry !== known?.entry) hasChanged = true;
      if (seen.entry || seen.changed) next.set(fileName, seen);
    }
    files = next;
    return hasChanged;
  };
  // Readings run one after the other. If two overlapped, the earlier one could finish last, and bring back
  // what the later one found changed.
  let reading: Promise<unknown> = Promise.resolve();
  let upcoming: Promise<boolean> | undefined;
  const readInTurn = (): Promise<boolean> => {
    upcoming ??= reading.then(() => {
      upcoming = undefined;
      const begun = read();
      reading = begun.catch(() => undefined);
      return begun;
    });
    return upcoming;
  };
  /** Reads until the files with these project names are complete; resolves to whether anything changed. */
  const readUntilComplete = (isAwaited: (name: string) => boolean): Promise<boolean> => {
    const isComplete = () =>
      [...files].every(([fileName, known]) => !isAwaited(projectOf(fileName)) || isUsableNow(known));
    return lookUntil(readInTurn, isComplete, clock);
  };
  await readUntilComplete(() => true);
  const refresh = async (awaited?: string) => {
    try {
      const hasChanged = await readUntilComplete((name) => name === awaited);
      unreadable = undefined;
      return hasChanged;
    } catch (error) {
      unreadable = systemReason(error);
      return false;
    }
  };
  const list = () => {
    const found = [...files].flatMap(([fileName, { entry }]) => (entry ? [[fileName, entry] as const] : []));
    const byName = Map.groupBy(found, ([, { name }]) => name);
    return [...byName]
      .map(([name, same]) => (same.length === 1 && same[0]?.[1]) || twice(name, same))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  };
  return {
    refresh,
    unreadable: () => unreadable,
    list,
    get: (name) => list().find((entry) => entry.name === name),
  };
}

/** Whether the file's project can be used, or waiting for the file is of no use. */
function isUsableNow({ entry, changed }: KnownFile<Entry>): boolean {
  return changed === undefined || (entry !== undefined && isUsable(entry));
}

function projectOf(fileName: string): string {
  return fileName.replace(/\.ya?ml$/i, "");
}

/**
 * The problem of a project with several files. None of them is used, because nothing says which one the
 * operator edits.
 */
function twice(name: string, found: readonly (readonly [string, Entry])[]): ProjectProblem {
  const names = found.map(([fileName]) => fileName).join(" and ");
  return { name, problem: `the project has several files: ${names}. Keep one of them.` };
}

async function readProject(path: string, fileName: string): Promise<Entry> {
  try {
    if (!/\.ya?ml$/.test(fileName)) return unread(fileName, "must end in .yaml or .yml, in lower case");
    const about = await stat(path);
    if (!about.isFile()) return unread(fileName, "is not a regular file");
    if (about.size > MAX_PROJECT_FILE_BYTES) return unread(fileName, "is larger than 64 KiB");
    const bytes = await readFile(path);
    if (!isUtf8(bytes)) return unread(fileName, "is not encoded as UTF-8");
    return parseProjectFile(fileName, new TextDecoder().decode(bytes));
  } catch (error) {
    if (isShortage(error)) throw error;
    return unread(fileName, `cannot be read: ${systemReason(error)}`);
  }
}

function unread(fileName: string, why: string): ProjectProblem {
  return { name: projectOf(fileName), problem: `${fileName}: ${why}` };
}

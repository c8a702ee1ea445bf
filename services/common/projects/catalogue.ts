import { isUtf8 } from "node:buffer";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { isShortage } from "../errors.ts";
import { systemReason } from "../system-reason.ts";
import { MAX_PROJECT_FILE_BYTES, type Project, type ProjectProblem, parseProjectFile } from "./file.ts";

type Entry = Project | ProjectProblem;
type Cached = { readonly stamp: string; readonly entry: Entry };

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
   * projects stay as they were.
   */
  refresh(): Promise<boolean>;
  /** The reason, in words, why the last `refresh` failed; undefined when it succeeded. */
  unreadable(): string | undefined;
};

export function isUsable(entry: Project | ProjectProblem): entry is Project {
  return !("problem" in entry);
}

/** Opens the catalogue of `directory`. Rejects when the directory cannot be read. */
export async function openProjectCatalogue(directory: string): Promise<ProjectCatalogue> {
  let files = new Map<string, Cached>();
  let unreadable: string | undefined;
  const read = async () => {
    const names = (await readdir(directory)).filter((name) => /\.ya?ml$/i.test(name)).sort();
    const next = new Map<string, Cached>();
    let changed = names.length !== files.size;
    for (const fileName of names) {
      const path = join(directory, fileName);
      const known = files.get(fileName);
      const stamp = await fileStamp(path);
      if (known && known.stamp === stamp) {
        next.set(fileName, known);
        continue;
      }
      changed = true;
      next.set(fileName, { stamp, entry: await readProject(path, fileName) });
    }
    files = next;
    return changed;
  };
  await read();
  const refresh = async () => {
    try {
      const changed = await read();
      unreadable = undefined;
      return changed;
    } catch (error) {
      unreadable = systemReason(error);
      return false;
    }
  };
  const list = () => {
    const byName = Map.groupBy(files, ([, { entry }]) => entry.name);
    return [...byName]
      .map(([name, found]) => (found.length === 1 && found[0]?.[1].entry) || twice(name, found))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  };
  return {
    refresh,
    unreadable: () => unreadable,
    list,
    get: (name) => list().find((entry) => entry.name === name),
  };
}

async function fileStamp(path: string): Promise<string> {
  try {
    const { mtimeMs, size, ino } = await stat(path);
    return `${mtimeMs}:${size}:${ino}`;
  } catch (error) {
    if (isShortage(error)) throw error;
    return "unreadable";
  }
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
  return { name: fileName.replace(/\.ya?ml$/i, ""), problem: `${fileName}: ${why}` };
}

/**
 * The problem of a project with several files. None of them is used, because nothing says which one the
 * operator edits.
 */
function twice(name: string, found: readonly (readonly [string, Cached])[]): ProjectProblem {
  const names = found.map(([fileName]) => fileName).join(" and ");
  return { name, problem: `the project has several files: ${names}. Keep one of them.` };
}

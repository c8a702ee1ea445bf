import { isUtf8 } from "node:buffer";
import { lstat, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { isShortage } from "../errors.ts";
import type { Clock } from "../resilience/clock.ts";
import { systemReason } from "../system-reason.ts";
import { MAX_PROJECT_FILE_BYTES, type Project, type ProjectProblem, parseProjectFile } from "./file.ts";

/**
 * Milliseconds for which a project file must not have changed before it is read. The beginning of a YAML file
 * is nearly always valid YAML too: without `inject`, `isolation` or `limits`, or with another host. Therefore
 * a file that is still being written must not be used.
 */
const QUIET_MS = 500;

/** What one project file is known to be. */
export type KnownFile = {
  /**
   * The project of the file, or the file's problem, as it was when the file was last complete; undefined when
   * there is no file, or a new file has not been complete yet.
   */
  readonly entry: Project | ProjectProblem | undefined;
  /** Identifies the state of the file that `entry` was read from; undefined while `entry` is. */
  readonly stamp: string | undefined;
  /** The changed state of a file that is not complete yet, and the time when it was first seen. */
  readonly changed?: { readonly stamp: string; readonly sinceMs: number } | undefined;
};

type State = {
  /** Changes whenever the file is written, replaced or removed. */
  readonly stamp: string;
  /** Epoch milliseconds of the last change. */
  readonly changedMs: number;
};

const GONE = "gone";

/**
 * Looks at the project file `fileName` again, and reads it when it has changed and is complete. Until then
 * the file's earlier entry stays in use. Rejects for want of file descriptors or memory.
 */
export async function lookAtProject(
  directory: string,
  fileName: string,
  known: KnownFile | undefined,
  clock: Clock,
): Promise<KnownFile> {
  const path = join(directory, fileName);
  const { stamp, changedMs } = await stateOf(path, directory);
  if (known?.entry && known.stamp === stamp) return { entry: known.entry, stamp };
  const changed = known?.changed?.stamp === stamp ? known.changed : { stamp, sinceMs: clock.monotonicMs() };
  const pending: KnownFile = { entry: known?.entry, stamp: known?.stamp, changed };
  // The time since the change was first seen counts, too, because the time of the change may come from
  // another machine's clock and lie in the future.
  const quietMs = Math.max(clock.now() - changedMs, clock.monotonicMs() - changed.sinceMs);
  if (quietMs < QUIET_MS) return pending;
  if (stamp === GONE) return { entry: undefined, stamp: undefined };
  const entry = await readProject(path, fileName);
  const isWhole = (await stateOf(path, directory)).stamp === stamp;
  return isWhole ? { entry, stamp } : pending;
}

/** Whether the file has an entry that counts, or is known to be gone, so that waiting for it is of no use. */
export function isComplete({ entry, changed }: KnownFile): boolean {
  return changed === undefined || (entry !== undefined && !("problem" in entry));
}

async function stateOf(path: string, directory: string): Promise<State> {
  try {
    // The time of the last change of the inode (ctime) is used, because programs set that of the last write.
    const { ctimeMs, size, ino, dev } = await stat(path);
    return { stamp: `${ctimeMs}:${size}:${ino}:${dev}`, changedMs: ctimeMs };
  } catch (error) {
    if (isShortage(error)) throw error;
    // A file that is gone may be about to be replaced. Its directory tells when it went.
    const { ctimeMs } = await stat(directory);
    const isThere = await lstat(path).then(
      () => true,
      () => false,
    );
    return { stamp: isThere ? "unreadable" : GONE, changedMs: ctimeMs };
  }
}

async function readProject(path: string, fileName: string): Promise<Project | ProjectProblem> {
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

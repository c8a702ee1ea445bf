import { lstat, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { isShortage } from "../errors.ts";
import type { Clock } from "../resilience/clock.ts";
import { wait } from "../resilience/retry.ts";

/**
 * Milliseconds for which a project or lock file must not have changed before it is read. The beginning of a
 * YAML file is nearly always valid YAML too: without `inject`, `isolation` or `limits`, or with another host.
 * Therefore a file that is still being written must not be used.
 */
const QUIET_MS = 500;

/** Milliseconds after which waiting for files that keep changing is given up. */
const WITHIN_MS = 1_500;
const LOOK_AGAIN_MS = 25;

/** What one file is known to be. `Entry`: what its content stands for. */
export type KnownFile<Entry> = {
  /**
   * The entry of the file as it was when the file was last complete; undefined when there is no file, or a new
   * file has not been complete yet.
   */
  readonly entry: Entry | undefined;
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
 * Looks at the file `path` again, and calls `read` when it has changed and is complete. Until then the file's
 * earlier entry stays in use. The file is complete when it has not changed for `quietForMs` milliseconds. Rejects for want of file descriptors or memory, and when `read` does.
 */
export async function lookAtFile<Entry>(
  path: string,
  known: KnownFile<Entry> | undefined,
  read: () => Promise<Entry>,
  clock: Clock,
  quietForMs = QUIET_MS,
): Promise<KnownFile<Entry>> {
  const { stamp, changedMs } = await stateOf(path);
  if (stamp === GONE && !known?.entry) return { entry: undefined, stamp: undefined };
  if (known?.stamp === stamp) return { entry: known.entry, stamp };
  const changed = known?.changed?.stamp === stamp ? known.changed : { stamp, sinceMs: clock.monotonicMs() };
  const pending: KnownFile<Entry> = { entry: known?.entry, stamp: known?.stamp, changed };
  // The time since the change was first seen counts, too, because the time of the change may come from
  // another machine's clock and lie in the future.
  const quietMs = Math.max(clock.now() - changedMs, clock.monotonicMs() - changed.sinceMs);
  if (quietMs < quietForMs) return pending;
  if (stamp === GONE) return { entry: undefined, stamp: undefined };
  const entry = await read();
  const isWhole = (await stateOf(path)).stamp === stamp;
  return isWhole ? { entry, stamp } : pending;
}

/**
 * Looks at files again and again until `isComplete`, for 1.5 s at most. Resolves to whether any look found a
 * change. Rejects when `look` does.
 */
export async function lookUntil(
  look: () => Promise<boolean>,
  isComplete: () => boolean,
  clock: Clock,
): Promise<boolean> {
  const untilMs = clock.monotonicMs() + WITHIN_MS;
  let hasChanged = await look();
  while (!isComplete() && clock.monotonicMs() < untilMs) {
    await wait(LOOK_AGAIN_MS, clock);
    if (await look()) hasChanged = true;
  }
  return hasChanged;
}

async function stateOf(path: string): Promise<State> {
  try {
    // The time of the last change of the inode (ctime) is used, because programs set that of the last write.
    const { ctimeMs, size, ino, dev } = await stat(path);
    return { stamp: `${ctimeMs}:${size}:${ino}:${dev}`, changedMs: ctimeMs };
  } catch (error) {
    if (isShortage(error)) throw error;
    // A file that is gone may be about to be replaced. Its directory tells when it went.
    const { ctimeMs } = await stat(dirname(path));
    const isThere = await lstat(path).then(
      () => true,
      () => false,
    );
    return { stamp: isThere ? "unreadable" : GONE, changedMs: ctimeMs };
  }
}

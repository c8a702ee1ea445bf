import { constants } from "node:fs";
import { open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { Clock } from "#common/resilience/clock.ts";
import { createFileTurns } from "./file-turns.ts";
import { UnresolvedSecret } from "./source.ts";

/** Milliseconds since the last write after which a file counts as complete. */
const QUIET_MS = 100;
/**
 * Milliseconds between two readings. A file that was written less than QUIET_MS ago is complete when two
 * readings are the same.
 */
const PAUSE_MS = 20;
/**
 * Milliseconds since the last write during which an empty file may still be about to get its content. A file
 * that stays empty longer counts as complete.
 */
const EMPTY_MS = 1_000;
/**
 * Milliseconds that a file may be missing while it is replaced by removing it and writing it anew. After that
 * the reading fails, because the file does not exist.
 */
const MISSING_MS = 250;
/**
 * Milliseconds after which the reading of a file that keeps changing, or does not answer, is given up; less than the 5 s that the
 * pool-manager waits for the values of a project.
 */
const WITHIN_MS = 1_500;

// One for the process, because its threads are the whole process's.
const turns = createFileTurns();

type Reading = {
  readonly content: Buffer;
  /**
   * The device, the inode and the time of the last write, as one text that identifies the file's content. The
   * text changes with each write, and when the file is replaced by another one.
   */
  readonly mark: string;
  readonly writtenMs: number;
  /** Whether the file did not change while it was read. */
  readonly isWhole: boolean;
};

/**
 * Reads the file at `path`, or its first `maxBytes` + 1 bytes, when it is complete. A file that is rewritten
 * in place is first empty and then has only a part of its content; this function waits until both are over.
 * Rejects with an UnresolvedSecret, or with the error of `open`.
 */
export async function readSettled(path: string, maxBytes: number, clock: Clock): Promise<Buffer> {
  const untilMs = clock.monotonicMs() + WITHIN_MS;
  const missingUntilMs = clock.monotonicMs() + MISSING_MS;
  let before: Reading | undefined;
  // When this function first saw the file with its present `mark`. The file's own time of writing does not
  // suffice, because it may come from another machine's clock and lie in the future.
  let seenSinceMs = clock.monotonicMs();
  for (;;) {
    const leftMs = Math.max(PAUSE_MS, untilMs - clock.monotonicMs());
    const reading = await turns.run(dirname(path), leftMs, clock, () =>
      readOnce(path, maxBytes).catch(async (error: NodeJS.ErrnoException) => {
        const isGone = error.code === "ENOENT" && clock.monotonicMs() < missingUntilMs;
        if (!isGone || !(await hasChanged(dirname(path), clock))) throw error;
        return undefined;
      }),
    );
    if (reading?.mark !== before?.mark) seenSinceMs = clock.monotonicMs();
    const seenMs = clock.monotonicMs() - seenSinceMs;
    if (reading && isSettled(reading, before, clock.now(), seenMs)) return reading.content;
    if (clock.monotonicMs() >= untilMs) {
      // This file is written all the time. A reading during which the file did not change is returned,
      // because the file did hold exactly this content then.
      if (reading?.isWhole && reading.content.length > 0) return reading.content;
      throw new UnresolvedSecret("this file is being written again and again", { isPassing: true });
    }
    before = reading;
    await new Promise<void>((wake) => clock.after(PAUSE_MS, wake));
  }
}

function isSettled(reading: Reading, before: Reading | undefined, nowMs: number, seenMs: number): boolean {
  if (!reading.isWhole) return false;
  const ageMs = nowMs - reading.writtenMs;
  if (reading.content.length === 0) return Math.max(ageMs, seenMs) >= EMPTY_MS;
  // Two equal readings also settle a file whose time of writing comes from another machine's clock.
  return ageMs >= QUIET_MS || (before?.mark === reading.mark && before.content.equals(reading.content));
}

async function readOnce(path: string, maxBytes: number): Promise<Reading> {
  // Without O_NONBLOCK, opening a pipe that has no writer would block forever.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const begun = await file.stat();
    if (!begun.isFile()) throw new UnresolvedSecret("this is not a regular file");
    const buffer = Buffer.alloc(maxBytes + 1);
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    const done = await file.stat();
    const isWhole = begun.mtimeMs === done.mtimeMs && Math.min(done.size, buffer.length) === length;
    const mark = `${done.dev}:${done.ino}:${done.mtimeMs}`;
    return { content: buffer.subarray(0, length), mark, writtenMs: done.mtimeMs, isWhole };
  } finally {
    await file.close();
  }
}

/**
 * Whether a file in `directory` was made, removed or renamed in the last MISSING_MS, so that a missing file
 * there may be one that is being replaced.
 */
async function hasChanged(directory: string, clock: Clock): Promise<boolean> {
  const changed = await stat(directory).catch(() => undefined);
  return changed !== undefined && clock.now() - changed.mtimeMs < MISSING_MS;
}

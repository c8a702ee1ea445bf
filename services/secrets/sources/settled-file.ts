import { constants } from "node:fs";
import { open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { Clock } from "#common/resilience/clock.ts";
import { UnresolvedSecret } from "./source.ts";

/** A file that nothing has written to for so long is complete. */
const QUIET_MS = 100;
/** A younger file is complete when two readings with this pause between them are the same. */
const PAUSE_MS = 20;
/** For so long after the last write a file without content may still be about to get some. */
const EMPTY_MS = 1_000;
/** A file that is replaced by removing it is back within this time. */
const MISSING_MS = 250;
/** Less than the pool-manager waits for the values of a project. */
const WITHIN_MS = 1_500;

type Reading = {
  readonly content: Buffer;
  /** Changes with each write, and when another file takes the place of this one. */
  readonly mark: string;
  readonly writtenMs: number;
  /** Whether nothing was written while the file was read. */
  readonly isWhole: boolean;
};

/**
 * The content of the file at `path`, or its first `maxBytes` + 1 bytes. A file that is rewritten in place is empty for a moment,
 * and holds a part of its content for another: this waits until both are over. Rejects with an UnresolvedSecret, or as `open` does.
 */
export async function readSettled(path: string, maxBytes: number, clock: Clock): Promise<Buffer> {
  const untilMs = clock.monotonicMs() + WITHIN_MS;
  const missingUntilMs = clock.monotonicMs() + MISSING_MS;
  let before: Reading | undefined;
  for (;;) {
    const reading = await readOnce(path, maxBytes).catch(async (error: NodeJS.ErrnoException) => {
      const isGone = error.code === "ENOENT" && clock.monotonicMs() < missingUntilMs;
      if (!isGone || !(await hasChanged(dirname(path), clock))) throw error;
      return undefined;
    });
    if (reading && isSettled(reading, before, clock)) return reading.content;
    if (clock.monotonicMs() >= untilMs) {
      // Of a file that is written all the time each whole reading is what it held then.
      if (reading?.isWhole && reading.content.length > 0) return reading.content;
      throw new UnresolvedSecret("this file is being written again and again", { isPassing: true });
    }
    before = reading;
    await new Promise<void>((wake) => clock.after(PAUSE_MS, wake));
  }
}

function isSettled(reading: Reading, before: Reading | undefined, clock: Clock): boolean {
  if (!reading.isWhole) return false;
  const ageMs = clock.now() - reading.writtenMs;
  if (reading.content.length === 0) return ageMs >= EMPTY_MS;
  // Twice the same also settles a file whose times another machine's clock has given.
  return ageMs >= QUIET_MS || (before?.mark === reading.mark && before.content.equals(reading.content));
}

async function readOnce(path: string, maxBytes: number): Promise<Reading> {
  // Without O_NONBLOCK a pipe without a writer would hold the call for ever.
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

/** Whether a file was made, removed or renamed in `directory` just now. */
async function hasChanged(directory: string, clock: Clock): Promise<boolean> {
  const changed = await stat(directory).catch(() => undefined);
  return changed !== undefined && clock.now() - changed.mtimeMs < MISSING_MS;
}

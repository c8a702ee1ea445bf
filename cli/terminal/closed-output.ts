import { fstatSync, writeSync } from "node:fs";
import type { Writable } from "node:stream";
import { systemReason } from "#common/system-reason.ts";

type Handler = (status: number) => void;

let handler: Handler = (status) => process.exit(status);
let isIncomplete = false;

/**
 * Sets what happens when standard output is closed or cannot be written. `then` gets the exit status for that
 * case. Without a handler the process ends with this status.
 */
export function whenOutputCloses(then: Handler): void {
  handler = then;
}

/**
 * Whether a part of standard output could not be written for another reason than a closed reader, such as a
 * full disk.
 */
export function isOutputIncomplete(): boolean {
  return isIncomplete;
}

/**
 * Ends the command quietly when its output is closed, for example by `head` or a closed terminal. When
 * standard output cannot be written for another reason, such as a full disk, a sentence on standard error
 * says so.
 */
export function watchOutput(): void {
  writeWhole(process.stdout);
  writeWhole(process.stderr);
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") return handler(0);
    if (!isIncomplete) {
      isIncomplete = true;
      process.stderr.write(`Standard output cannot be written: ${systemReason(error)}.\n`);
    }
    handler(1);
  });
  process.stderr.on("error", () => undefined);
}

/**
 * Repeats a write to a file until all bytes are written, because Node calls `write` once and ignores that a
 * full disk takes only a part. Does nothing for a terminal or a pipe.
 */
function writeWhole(stream: Writable & { readonly fd: number }): void {
  if (!fstatSync(stream.fd).isFile()) return;
  stream._write = (chunk: Buffer, _encoding, done) => {
    try {
      for (let at = 0; at < chunk.length; ) at += writeSync(stream.fd, chunk, at);
      done();
    } catch (error) {
      done(error as Error);
    }
  };
}

import { fstatSync, writeSync } from "node:fs";
import type { Writable } from "node:stream";
import { systemReason } from "#common/system-reason.ts";

type Handler = (status: number) => void;

let handler: Handler = (status) => process.exit(status);
let isIncomplete = false;

/**
 * Sets a handler for a standard output that is closed or cannot be written; without one the process ends. The
 * handler gets the exit status.
 */
export function whenOutputCloses(then: Handler): void {
  handler = then;
}

/** Whether standard output lacks a part of what was written to it, although its reader was there. */
export function isOutputIncomplete(): boolean {
  return isIncomplete;
}

/**
 * Ends the command quietly when its output is closed, for example by `head` or a closed terminal. Says on
 * standard error why the output cannot be written otherwise.
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
 * Writes each text to a file as a whole. Node calls `write` once and ignores that a full disk takes only a
 * part.
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

import { appendFileSync, mkdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { multistream } from "pino";
import { createStream, type RotatingFileStream } from "rotating-file-stream";
import { createLog, type Log } from "#common/service/log.ts";
import { systemReason } from "#common/system-reason.ts";
import { printable } from "./log-lines.ts";

/** Milliseconds until a log file that could not be written is opened again. */
const REOPEN_AFTER_MS = 5_000;

// Milliseconds for which log lines are collected before they are written together. An execution logs three
// lines, and a write for each took 6 % of the services' processor time.
const BATCH_MS = 25;

// Characters of collected log lines at which they are written at once.
const MAX_BATCH = 64 * 1024;

/** The path of the log in a data directory. */
export function logPathOf(dataDirectory: string): string {
  return join(dataDirectory, "logs", "airlock.log");
}

/**
 * Opens the log of the embedded services. Events are written as JSON lines to the data directory, at most 40
 * MB, and warnings also to standard error. `reopenAfterMs` is the time until a file that could not be written
 * is opened again.
 */
export function openLogs(
  dataDirectory: string,
  level: string,
  reopenAfterMs = REOPEN_AFTER_MS,
): (service: string) => Log {
  const path = logPathOf(dataDirectory);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const destination = multistream([
    { stream: openLogFile(path, reopenAfterMs), level: level as "info" },
    { stream: { write: (line: string) => process.stderr.write(readable(line)) }, level: "warn" },
  ]);
  return (service) => createLog(service, level, destination);
}

/**
 * Opens the log file. A full disk loses lines of the log but does not stop the services. A stream that has
 * failed accepts no more lines, so a new one is opened after `reopenAfterMs`.
 */
function openLogFile(path: string, reopenAfterMs: number): { write(line: string): void } {
  let file: RotatingFileStream | undefined;
  let failedAtMs: number | undefined;
  let missing = 0;

  const open = (): RotatingFileStream => {
    const opened = createStream(basename(path), {
      path: dirname(path),
      size: "10M",
      maxFiles: 3,
      mode: 0o600,
    });
    opened.on("error", (error: NodeJS.ErrnoException) => {
      if (file !== opened) return;
      file = undefined;
      if (failedAtMs === undefined)
        process.stderr.write(
          `The log cannot be written: ${systemReason(error)}. Airlock goes on without it and tries again every ${reopenAfterMs / 1_000} s.\n`,
        );
      failedAtMs = performance.now();
    });
    // A file that is opened again after a failure gets a line end first, because its last line may be
    // incomplete.
    if (failedAtMs !== undefined) opened.write("\n");
    return opened;
  };
  const isWritten = () => {
    if (failedAtMs === undefined) return;
    process.stderr.write(`The log is written again; about ${missing} lines are missing.\n`);
    failedAtMs = undefined;
    missing = 0;
  };

  let batch: string[] = [];
  let length = 0;
  let timer: NodeJS.Timeout | undefined;
  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    const lines = batch;
    batch = [];
    length = 0;
    if (!file && performance.now() - (failedAtMs ?? 0) >= reopenAfterMs) file = open();
    if (!file) {
      missing += lines.length;
      return;
    }
    file.write(lines.join(""), (error) => {
      if (error) missing += lines.length;
      else isWritten();
    });
  };
  // The collected lines are written here with a blocking call, because `process.exit` waits for no timer and
  // no stream.
  process.once("exit", () => {
    if (!file || batch.length === 0) return;
    try {
      appendFileSync(path, batch.join(""));
    } catch {
      // A full disk loses lines of the log; it does not change how Airlock ends.
    }
  });

  file = open();
  return {
    write(line) {
      batch.push(line);
      length += line.length;
      if (length >= MAX_BATCH) flush();
      else timer ??= setTimeout(flush, BATCH_MS);
    },
  };
}

function readable(line: string): string {
  const { service, msg, project, detail, verdict, problem, err } = JSON.parse(line) as Record<
    string,
    string | undefined
  > & {
    err?: { message: string };
  };
  const reason = err?.message ?? detail ?? verdict;
  // The mistakes in a file may be many lines.
  const more = problem === undefined ? "" : " (./airlock logs names the mistake)";
  const text = `${service}: ${project ? `${project}: ` : ""}${msg}${reason ? `: ${reason}` : ""}${more}`;
  // Further lines are indented, so that text from a script cannot look like an event of its own.
  return `${text.split("\n").map(printable).join("\n  ")}\n`;
}

import { mkdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { multistream } from "pino";
import { createStream } from "rotating-file-stream";
import { createLog, type Log } from "#common/service/log.ts";
import { systemReason } from "#common/system-reason.ts";
import { printable } from "./log-lines.ts";

/** Where the log of a data directory stands. */
export function logPathOf(dataDirectory: string): string {
  return join(dataDirectory, "logs", "airlock.log");
}

/**
 * Logs of the embedded services: JSON lines in the data directory, at most 40 MB of them, and warnings on standard
 * error for the person who watches.
 */
export function openLogs(dataDirectory: string, level: string): (service: string) => Log {
  const path = logPathOf(dataDirectory);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const file = createStream(basename(path), { path: dirname(path), size: "10M", maxFiles: 3, mode: 0o600 });
  // A full disk costs the log, not the service.
  file.on("error", (error: NodeJS.ErrnoException) => {
    process.stderr.write(`The log cannot be written: ${systemReason(error)}; Airlock goes on without it.\n`);
  });
  const destination = multistream([
    { stream: file, level: level as "info" },
    { stream: { write: (line: string) => process.stderr.write(readable(line)) }, level: "warn" },
  ]);
  return (service) => createLog(service, level, destination);
}

function readable(line: string): string {
  const { service, msg, project, detail, verdict, err } = JSON.parse(line) as Record<
    string,
    string | undefined
  > & {
    err?: { message: string };
  };
  const reason = err?.message ?? detail ?? verdict;
  const text = `${service}: ${project ? `${project}: ` : ""}${msg}${reason ? `: ${reason}` : ""}`;
  // Indented, so that no text can look like an event of its own.
  return `${text.split("\n").map(printable).join("\n  ")}\n`;
}

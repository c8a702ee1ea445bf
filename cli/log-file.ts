import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { multistream } from "pino";
import { createStream } from "rotating-file-stream";
import { createLog, type Log } from "../services/common/log.ts";

export const LOG_FILE = join("logs", "airlock.log");

/**
 * Logs of the embedded services: JSON lines in the data directory, at most 40 MB of them, and warnings on standard
 * error for the person who watches.
 */
export function openLogs(dataDirectory: string, level: string): (service: string) => Log {
  const directory = join(dataDirectory, "logs");
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const file = createStream("airlock.log", { path: directory, size: "10M", maxFiles: 3, mode: 0o600 });
  const destination = multistream([
    { stream: file, level: level as "info" },
    { stream: { write: (line: string) => process.stderr.write(readable(line)) }, level: "warn" },
  ]);
  return (service) => createLog(service, level, destination);
}

function readable(line: string): string {
  const { service, msg, project, detail, err } = JSON.parse(line) as Record<string, string | undefined> & {
    err?: { message: string };
  };
  const reason = err?.message ?? detail;
  return `${service}: ${project ? `${project}: ` : ""}${msg}${reason ? `: ${reason}` : ""}\n`;
}

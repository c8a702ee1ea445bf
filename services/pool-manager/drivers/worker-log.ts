import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import type { Log } from "#common/service/log.ts";

type WorkerLine = { level: string; msg: string; time: string; project?: string };

const LEVELS: Readonly<Record<string, "error" | "warn">> = { error: "error", warning: "warn" };
// The lines of a crash that contain no values of a script: places in the code, and the exception's type
// without its message.
const PLACE = /^(Traceback \(most recent call last\):|\s+File ".*", line \d+, in .*)$/;
const EXCEPTION = /^([A-Za-z_][\w.]*)(: .*)?$/;

const MAX_CHARACTERS = 300;

/**
 * Passes on a worker's log. JSON lines become events. Of other lines, which come from a crash, only places
 * and exception types are logged.
 */
export function relayWorkerLog(stderr: Readable, log: Log): void {
  createInterface({ input: stderr }).on("line", (line) => {
    try {
      // Time and project are left out, because the event has its own.
      const { level, msg, time: _, project: __, ...fields } = JSON.parse(line) as WorkerLine;
      log[LEVELS[level] ?? "debug"](fields, msg);
    } catch {
      const harmless = PLACE.exec(line)?.[1] ?? EXCEPTION.exec(line)?.[1];
      if (harmless && harmless.length <= MAX_CHARACTERS) log.warn(`worker wrote: ${harmless}`);
    }
  });
}

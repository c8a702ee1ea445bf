import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import type { Log } from "#common/service/log.ts";

type WorkerLine = { level: string; msg: string; time: string; project?: string };

const LEVELS: Readonly<Record<string, "error" | "warn">> = { error: "error", warning: "warn" };
// Matches the lines of a Python traceback that name a file and a line. They may be logged, because they
// contain no value of a script.
const PLACE = /^(Traceback \(most recent call last\):|\s+File ".*", line \d+, in .*)$/;
// Matches the last line of a traceback. Only its first group, the exception's type, may be logged, because
// the message may contain a value of a script.
const EXCEPTION = /^([A-Za-z_][\w.]*)(: .*)?$/;

const MAX_CHARACTERS = 300;

/**
 * Passes a worker's log (its standard error) on to `log`. JSON lines become events. Other lines come from a
 * crash. Of these, only the places in the code and the exceptions' types are logged.
 */
export function relayWorkerLog(stderr: Readable, log: Log): void {
  createInterface({ input: stderr }).on("line", (line) => {
    try {
      // Time and project are left out, because `log` adds its own.
      const { level, msg, time: _, project: __, ...fields } = JSON.parse(line) as WorkerLine;
      log[LEVELS[level] ?? "debug"](fields, msg);
    } catch {
      const harmless = PLACE.exec(line)?.[1] ?? EXCEPTION.exec(line)?.[1];
      if (harmless && harmless.length <= MAX_CHARACTERS) log.warn(`worker wrote: ${harmless}`);
    }
  });
}

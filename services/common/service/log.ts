import { type DestinationStream, type Logger, pino } from "pino";
import { withheld } from "./log-net.ts";

export type Log = Logger;

/**
 * The log of one service: a JSON line per event, to `destination` or standard output.
 * Request bodies, scripts, outputs and values are never logged; `withheld` is a net under that rule.
 */
export function createLog(service: string, level: string, destination?: DestinationStream): Log {
  const options = {
    level,
    base: { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { log: (fields: Record<string, unknown>) => withheld(fields) },
    // Errors have been made plain by then, below whatever key they stand.
    serializers: { err: (error: unknown) => error },
  };
  return destination ? pino(options, destination) : pino(options);
}

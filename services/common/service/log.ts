import { type DestinationStream, type Logger, pino } from "pino";
import { withheld } from "./log-net.ts";

export type Log = Logger;

/**
 * The log of one service: a JSON line per event, to `destination` or standard output. Callers must never log
 * request bodies, scripts, outputs and secret values; `withheld` removes such fields if a caller does so by
 * mistake.
 */
export function createLog(service: string, level: string, destination?: DestinationStream): Log {
  const options = {
    level,
    base: { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { log: (fields: Record<string, unknown>) => withheld(fields) },
    // `withheld` has already turned errors into plain fields, whatever their key, so pino must not do so
    // again.
    serializers: { err: (error: unknown) => error },
  };
  return destination ? pino(options, destination) : pino(options);
}

import { type DestinationStream, type Logger, pino } from "pino";

export type Log = Logger;

/**
 * The log of one service: a JSON line per event, to `destination` or standard output.
 * Request bodies and outputs are never logged; the paths below are a net under that rule.
 */
export function createLog(service: string, level: string, destination?: DestinationStream): Log {
  const options = {
    level,
    base: { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: ["*.value", "*.secrets", "*.code", "*.stdout", "*.stderr"], censor: "[withheld]" },
  };
  return destination ? pino(options, destination) : pino(options);
}

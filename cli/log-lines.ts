export const LOG_LEVELS: ReadonlyMap<string, number> = new Map([
  ["trace", 10],
  ["debug", 20],
  ["info", 30],
  ["warn", 40],
  ["error", 50],
  ["fatal", 60],
]);

export type LogFilter = {
  readonly minLevel: number;
  readonly executionId: string | undefined;
  readonly project: string | undefined;
};

/** A JSON line of the log as people read it; undefined when the filter leaves it out or it is none. */
export function readableLogLine(line: string, filter: LogFilter): string | undefined {
  const event = parse(line);
  if (!event) return undefined;
  const { level, time, service, msg, ...rest } = event;
  if (typeof level !== "number" || level < filter.minLevel) return undefined;
  if (filter.executionId !== undefined && !Object.values(rest).includes(filter.executionId)) return undefined;
  if (filter.project !== undefined && rest.project !== filter.project) return undefined;
  const name = [...LOG_LEVELS].find(([, value]) => value === level)?.[0] ?? String(level);
  const details = Object.entries(rest).map(([key, value]) => `${key}=${shown(value)}`);
  return printable(
    [time, name.toUpperCase().padEnd(5), String(service).padEnd(12), msg, ...details].join(" "),
  );
}

/** `text` as a terminal may have it: what controls it, or reorders what people see, is spelled out. */
export function printable(text: string): string {
  return text.replaceAll(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}

function parse(line: string): Record<string, unknown> | undefined {
  try {
    const event: unknown = JSON.parse(line);
    return typeof event === "object" && event !== null ? { ...event } : undefined;
  } catch {
    return undefined;
  }
}

/** Text without spaces and control characters as it is, everything else as JSON on the one line. */
function shown(value: unknown): string {
  return typeof value === "string" && /^[\x21-\x7e]+$/.test(value) ? value : JSON.stringify(value);
}

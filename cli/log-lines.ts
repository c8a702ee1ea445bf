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

/**
 * A JSON line of the log as people read it, with the stack of an error in indented lines below; undefined when the filter leaves
 * it out or it is none.
 */
export function readableLogLine(line: string, filter: LogFilter): string | undefined {
  const event = parse(line);
  if (!event) return undefined;
  const { level, time, service, msg, err, ...rest } = event;
  if (typeof level !== "number" || level < filter.minLevel) return undefined;
  if (filter.executionId !== undefined && !Object.values(rest).includes(filter.executionId)) return undefined;
  if (filter.project !== undefined && rest.project !== filter.project) return undefined;
  const name = [...LOG_LEVELS].find(([, value]) => value === level)?.[0] ?? String(level);
  const error = errorIn(err);
  const details = Object.entries({ ...rest, ...error.facts }).map(([key, value]) => `${key}=${shown(value)}`);
  const first = [time, name.toUpperCase().padEnd(5), String(service).padEnd(12), msg, ...details].join(" ");
  return [first, ...error.stack].map(printable).join("\n    ");
}

/** What `err` of an event tells: kind and message as one fact, beside its others, and the lines of its stack. */
function errorIn(err: unknown): { readonly facts: object; readonly stack: readonly string[] } {
  if (typeof err !== "object" || err === null) return { facts: err === undefined ? {} : { err }, stack: [] };
  const { type, message, stack, ...others } = err as Record<string, unknown>;
  const facts = Object.entries(others).map(([key, value]) => [`err.${key}`, value]);
  const frames = String(stack ?? "").split("\n");
  return {
    facts: { err: `${type ?? "Error"}: ${message}`, ...Object.fromEntries(facts) },
    stack: frames.filter((line) => /^\s+at /.test(line)).map((line) => line.trim()),
  };
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

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
  /** Epoch milliseconds: events before this time are left out. Undefined: all times are shown. */
  readonly sinceMs?: number | undefined;
  /** Whether the stack of an error is shown, which only Airlock's developers need. */
  readonly stack?: boolean;
  /** Whether lines are printed as the JSON that the services wrote. */
  readonly json?: boolean;
};

/**
 * Formats a JSON line of the log for people. Further lines of an error's text are indented below the first,
 * and so is the error's stack if `filter` asks for it. Undefined when the filter excludes the event or the
 * line is not JSON.
 */
export function readableLogLine(line: string, filter: LogFilter): string | undefined {
  const event = parse(line);
  if (!event) return undefined;
  const { level, time, service, msg, err, ...rest } = event;
  if (typeof level !== "number" || level < filter.minLevel) return undefined;
  if (filter.executionId !== undefined && !Object.values(rest).includes(filter.executionId)) return undefined;
  if (filter.project !== undefined && rest.project !== filter.project) return undefined;
  if (filter.sinceMs !== undefined && !(Date.parse(String(time)) >= filter.sinceMs)) return undefined;
  if (filter.json) return printable(line);
  const name = [...LOG_LEVELS].find(([, value]) => value === level)?.[0] ?? String(level);
  const error = errorIn(err);
  // A field of the event that equals the error's message is left out, so that the message is not printed
  // twice.
  const others = Object.entries({ ...rest, ...error.facts }).filter(([, value]) => value !== error.message);
  const [texts, facts] = partition(others, ([key, value]) => key === "detail" && typeof value === "string");
  const details = facts.map(([key, value]) => `${key}=${shown(value)}`);
  const first = [time, name.toUpperCase().padEnd(5), String(service).padEnd(12), msg, ...details].join(" ");
  const sentences = [...texts.map(([key, value]) => `${key}=${value}`), ...error.text];
  // The first line of a detail or an error follows on the line of its event; its further lines are indented
  // below.
  const [before = "", ...below] = [first, ...sentences].join(" ").split(/\s*\r?\n/);
  return [before, ...below, ...(filter.stack ? error.stack : [])].map(printable).join("\n    ");
}

function partition<T>(all: readonly T[], isFirst: (each: T) => boolean): [T[], T[]] {
  return [all.filter(isFirst), all.filter((each) => !isFirst(each))];
}

type LoggedError = {
  readonly message: string | undefined;
  /** The error's type and message; empty when the event has no error. */
  readonly text: readonly string[];
  readonly facts: object;
  readonly stack: readonly string[];
};

/** Splits the `err` of a log event into message, facts and stack. */
function errorIn(err: unknown): LoggedError {
  if (typeof err !== "object" || err === null) {
    return { message: undefined, text: [], facts: err === undefined ? {} : { err }, stack: [] };
  }
  const {
    type,
    message,
    stack,
    logDetail: _detail,
    origin: _origin,
    name: _name,
    ...others
  } = err as Record<string, unknown>;
  const text = String(message);
  return {
    message: text,
    text: [`err=${type ?? "Error"}: ${text}`],
    facts: Object.fromEntries(Object.entries(others).map(([key, value]) => [`err.${key}`, value])),
    stack: String(stack ?? "")
      .split("\n")
      .filter((line) => /^\s+at /.test(line))
      .map((line) => line.trim()),
  };
}

/**
 * Makes `text` safe for a terminal: control characters and characters that reorder text are replaced by their
 * escapes.
 */
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

/** A value in one line: plain text without spaces as it is, all else as JSON. */
function shown(value: unknown): string {
  return typeof value === "string" && /^[\x21-\x7e]+$/.test(value) ? value : JSON.stringify(value);
}

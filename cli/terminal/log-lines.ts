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
  /** Epoch milliseconds; what is older is left out. */
  readonly sinceMs?: number | undefined;
  /** Whether the stack of an error is shown, which only developers read. */
  readonly stack?: boolean;
  /** Whether a line stays the JSON that it is. */
  readonly json?: boolean;
};

/**
 * A JSON line of the log as people read it, with further lines of an error, and its stack if the filter wants it, indented below;
 * undefined when the filter leaves it out or it is none.
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
  // Of a reason that the error has already, once is enough.
  const others = Object.entries({ ...rest, ...error.facts }).filter(([, value]) => value !== error.message);
  const [texts, facts] = partition(others, ([key, value]) => key === "detail" && typeof value === "string");
  const details = facts.map(([key, value]) => `${key}=${shown(value)}`);
  const first = [time, name.toUpperCase().padEnd(5), String(service).padEnd(12), msg, ...details].join(" ");
  const sentences = [...texts.map(([key, value]) => `${key}=${value}`), ...error.text];
  // A sentence stands on the line of its event, and its further lines below.
  const [before = "", ...below] = [first, ...sentences].join(" ").split(/\s*\r?\n/);
  return [before, ...below, ...(filter.stack ? error.stack : [])].map(printable).join("\n    ");
}

function partition<T>(all: readonly T[], isFirst: (each: T) => boolean): [T[], T[]] {
  return [all.filter(isFirst), all.filter((each) => !isFirst(each))];
}

type LoggedError = {
  readonly message: string | undefined;
  /** Kind and message, if there is an error. */
  readonly text: readonly string[];
  readonly facts: object;
  readonly stack: readonly string[];
};

/** What `err` of an event tells. */
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

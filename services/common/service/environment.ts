import type { Variable } from "./variables.ts";

/** All problems of the environment or the flags, one a line, for the operator who starts the service. */
export class ConfigError extends Error {
  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.name = "ConfigError";
  }
}

/** The words with which error messages describe what `durationMsOf` accepts. */
export const A_DURATION = "a length of time such as 90s, 15m, 24h or 7d";

const MS_BY_UNIT = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Parses a duration such as `90s` into milliseconds; undefined for any other text. */
export function durationMsOf(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text);
  return match ? Math.round(Number(match[1]) * MS_BY_UNIT[match[2] as keyof typeof MS_BY_UNIT]) : undefined;
}

type DurationBounds = { readonly least?: string; readonly most?: string };

export type EnvironmentReader = ReturnType<typeof readEnvironment>;

/**
 * Reads settings from environment variables. Problems are collected until `check()` reports them all
 * together. `written` maps a variable to the flag, such as `--port`, that the operator used instead; problems
 * then name the flag.
 */
export function readEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  written: Readonly<Record<string, string>> = {},
) {
  const problems: string[] = [];
  const nameOf = (variable: Variable) => written[variable] ?? variable;
  return {
    /**
     * The text of the variable `name`; `fallback` when it is unset or empty. Without a fallback, an unset
     * variable is a problem.
     */
    text(name: Variable, fallback?: string): string {
      const value = env[name] || fallback;
      if (value === undefined) problems.push(`${nameOf(name)} is not set`);
      return value ?? "";
    },
    /** The text of the variable `name`; undefined when it is unset or empty. */
    optionalText: (name: Variable): string | undefined => env[name] || undefined,
    /** Adds a problem that the calling code has found itself, a sentence for the operator. */
    refuse(problem: string): void {
      problems.push(problem);
    },
    /**
     * Reads a variable as a whole number from `min` to `max`; `fallback` when it is unset or empty. Any other
     * text is a problem.
     */
    integer(name: Variable, fallback: number, min: number, max: number): number {
      const raw = env[name];
      if (raw === undefined || raw === "") return fallback;
      const value = Number(raw);
      if (Number.isInteger(value) && value >= min && value <= max) return value;
      problems.push(`${nameOf(name)} must be a whole number from ${min} to ${max}, not "${raw}"`);
      return fallback;
    },
    /**
     * Reads a variable as one of `choices`; `fallback` when it is unset or empty. Any other text is a
     * problem.
     */
    choice<T extends string>(name: Variable, choices: readonly T[], fallback: T): T {
      const raw = env[name] || fallback;
      const found = choices.find((choice) => choice === raw);
      if (!found) problems.push(`${nameOf(name)} must be one of ${choices.join(", ")}, not "${raw}"`);
      return found ?? fallback;
    },
    /**
     * Reads a variable as a duration such as 90s, 15m, 24h or 7d; returns milliseconds. A duration shorter
     * than `least` or longer than `most`, where these are given, is a problem.
     */
    durationMs(name: Variable, fallback: string, { least, most }: DurationBounds = {}): number {
      const raw = env[name] || fallback;
      const duration = durationMsOf(raw);
      const refuse = (must: string) => problems.push(`${nameOf(name)} must be ${must}, not "${raw}"`);
      if (duration === undefined) refuse(A_DURATION);
      else if (least !== undefined && duration < (durationMsOf(least) ?? 0)) refuse(`at least ${least}`);
      else if (most !== undefined && duration > (durationMsOf(most) ?? 0)) refuse(`at most ${most}`);
      return duration ?? 0;
    },
    /** Throws a ConfigError that names all problems, if there were any: once, if several services read the variable. */
    check(): void {
      if (problems.length > 0) throw new ConfigError([...new Set(problems)]);
    },
  };
}

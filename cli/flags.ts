import { type ParseArgsConfig, parseArgs } from "node:util";
import { ConfigError } from "#common/service/environment.ts";

/**
 * Parses flags and positional arguments. Throws a ConfigError that says in one line what is wrong and where
 * help is.
 */
export function parseFlags<const Options extends NonNullable<ParseArgsConfig["options"]>>(
  command: string,
  args: readonly string[],
  options: Options,
) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    throw usageError(command, sentenceOf(error as NodeJS.ErrnoException));
  }
}

export function usageError(command: string, sentence: string): ConfigError {
  return new ConfigError([`${sentence} See ./airlock help ${command}.`]);
}

/**
 * Rewrites Node's error about a flag in one line, because Node's text has several lines and names its
 * functions.
 */
function sentenceOf({ code, message }: NodeJS.ErrnoException): string {
  const flags = [...(/'([^']*)'/.exec(message)?.[1] ?? "").matchAll(/--?[\w-]+/g)].map(([name]) => name);
  const flag = flags.at(-1) ?? "a flag";
  if (code !== "ERR_PARSE_ARGS_INVALID_OPTION_VALUE") return `${message.split(". ")[0]}.`;
  if (message.includes("does not take an argument")) return `${flag} takes no value.`;
  const dash = message.includes("ambiguous") ? `; one that begins with - is written ${flag}=-…` : "";
  return `${flag} needs a value${dash}.`;
}

import { type ParseArgsConfig, parseArgs } from "node:util";
import { ConfigError } from "../services/common/environment.ts";

/** Parses flags and positionals; a ConfigError says in one line what is wrong and where help is. */
export function parseFlags<const Options extends NonNullable<ParseArgsConfig["options"]>>(
  command: string,
  args: readonly string[],
  options: Options,
) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    const [sentence] = (error as Error).message.split(". ");
    throw usageError(command, `${sentence}.`);
  }
}

export function usageError(command: string, sentence: string): ConfigError {
  return new ConfigError([`${sentence} See ./airlock help ${command}.`]);
}

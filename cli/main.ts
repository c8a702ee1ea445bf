import { readFileSync } from "node:fs";
import { join } from "node:path";
import { inspect } from "node:util";
import { AirlockError } from "#common/errors.ts";
import { ConfigError } from "#common/service/environment.ts";
import { ApiError } from "#sdk/api-error.ts";
import { sentenceOf } from "./client/sentence-of.ts";
import { closestName } from "./closest-name.ts";
import { COMMANDS } from "./commands.ts";
import { exit } from "./exit.ts";
import { helpText } from "./help.ts";
import { watchOutput } from "./terminal/closed-output.ts";
import { guardTerminal } from "./terminal/terminal.ts";

/** Runs the command line and resolves to the exit status. Only the chosen command's code is loaded. */
async function main([name = "help", ...args]: readonly string[]): Promise<number> {
  if (name === "--version" || name === "version") {
    const { version } = JSON.parse(readFileSync(join(import.meta.dirname, "..", "package.json"), "utf8"));
    process.stdout.write(`airlock ${version}\n`);
    return 0;
  }
  if (["help", "--help", "-h"].includes(name)) return help(args[0]);
  const command = COMMANDS.find((each) => each.name === name);
  if (!command) return noSuchCommand(name);
  if (args.includes("--help") || args.includes("-h")) return help(name);
  const run = await command.load(args);
  return await run(args);
}

function help(name?: string): number {
  if (name !== undefined && !COMMANDS.some((each) => each.name === name)) return noSuchCommand(name);
  process.stdout.write(helpText(name));
  return 0;
}

/**
 * The text that is printed for a failed command: one sentence for an error that was foreseen, the whole error
 * with its stack for any other.
 */
function textOf(error: unknown): string {
  if (error instanceof ApiError) return sentenceOf(error);
  return error instanceof ConfigError || error instanceof AirlockError ? error.message : inspect(error);
}

function noSuchCommand(name: string): number {
  const meant = closestName(
    name,
    COMMANDS.map((each) => each.name),
  );
  const hint = meant === undefined ? "" : ` Did you mean ${meant}?`;
  process.stderr.write(`There is no command "${name}".${hint} ./airlock help lists them.\n`);
  return 2;
}

guardTerminal(process.stdout);
guardTerminal(process.stderr);

watchOutput();

try {
  await exit(await main(process.argv.slice(2)));
} catch (error) {
  // The error is printed here, because Node would print an uncaught error directly, and not through
  // `guardTerminal`, which escapes control characters.
  process.stderr.write(`${textOf(error)}\n`);
  await exit(error instanceof ConfigError ? 2 : 1);
}

import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { airlockCommand, environment } from "./airlock.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const PIPED = 'text=$1; shift; printf %s "$text" | "$@"';
const IN_TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";

/**
 * Runs an `./airlock` command to its end in a new terminal. The terminal receives `text`, shown here without carriage
 * returns before line ends. `input` is typed at the terminal; with `piped` the command's standard input is a pipe
 * with that text.
 */
export async function runInTerminal(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  input = "",
  piped?: string,
): Promise<{ status: number | null; text: string }> {
  const { file, args: all } = airlockCommand(args);
  const own = environment(env);
  const pipe = piped === undefined ? [] : ["sh", "-c", PIPED, "sh", piped];
  const child = spawn(own.AIRLOCK_PYTHON as string, ["-c", IN_TERMINAL, ...pipe, file, ...all], {
    cwd: ROOT,
    env: own,
  });
  child.stdin.end(input);
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk) => chunks.push(chunk));
  child.stderr.on("data", (chunk) => chunks.push(chunk));
  const [status] = (await once(child, "close")) as [number | null];
  return { status, text: Buffer.concat(chunks).toString("utf8").replaceAll("\r\n", "\n") };
}

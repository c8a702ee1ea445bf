import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { airlockCommand, environment } from "./airlock.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const IN_TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";

/** Runs a command to its end in a terminal of its own. `text` is what the terminal was sent, without carriage returns before line ends. */
export async function runInTerminal(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  input = "",
): Promise<{ status: number | null; text: string }> {
  const { file, args: all } = airlockCommand(args);
  const own = environment(env);
  const child = spawn(own.AIRLOCK_PYTHON as string, ["-c", IN_TERMINAL, file, ...all], {
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

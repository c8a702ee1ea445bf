import { spawn } from "node:child_process";
import { join } from "node:path";

export const ROOT = join(import.meta.dirname, "..");
const BIN = join(ROOT, "node_modules", ".bin");

/**
 * The path of the Python that runs the worker and its tools: AIRLOCK_PYTHON, or that of the virtual
 * environment which ./airlock makes.
 */
export const PYTHON = process.env.AIRLOCK_PYTHON || join(ROOT, ".venv", "bin", "python");

export type ToolOptions = { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> };
export type ToolResult = { readonly ok: boolean; readonly output: string };

// The environment of a tool. node_modules/.bin comes first in PATH, so that the project's own tools are used,
// among them the pinned Node.
function environment(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${BIN}:${process.env.PATH ?? ""}`, ...extra };
}

/**
 * Runs a tool and collects its output. `ok` is false when the exit status is not 0 or the tool does not
 * start.
 */
export function runQuietly(command: readonly string[], options: ToolOptions = {}): Promise<ToolResult> {
  return new Promise((resolve) => {
    const [file = "", ...args] = command;
    const child = spawn(file, args, { cwd: options.cwd ?? ROOT, env: environment(options.env) });
    let output = "";
    const collect = (data: Buffer) => {
      output += data;
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    child.on("error", (error) =>
      resolve({ ok: false, output: `${file} cannot be started: ${error.message}\n` }),
    );
    child.on("close", (status) => resolve({ ok: status === 0, output }));
  });
}

/**
 * Runs a tool with this process's terminal. Resolves to its exit status, or null when a signal ended it or it
 * did not start.
 */
export function runVisibly(command: readonly string[], options: ToolOptions = {}): Promise<number | null> {
  return new Promise((resolve) => {
    const [file = "", ...args] = command;
    const child = spawn(file, args, {
      cwd: options.cwd ?? ROOT,
      env: environment(options.env),
      stdio: "inherit",
    });
    child.on("error", (error) => {
      process.stderr.write(`${file} cannot be started: ${error.message}\n`);
      resolve(null);
    });
    child.on("close", resolve);
  });
}

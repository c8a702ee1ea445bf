import { join } from "node:path";
import { ROOT, runVisibly } from "../tools.ts";

/**
 * `./airlock bench` runs in a process of its own, so that the command line does not load the benchmark's
 * code.
 */
export async function bench(args: readonly string[]): Promise<number> {
  const program = join(ROOT, "bench", "main.ts");
  return (
    (await runVisibly([process.execPath, ...process.execArgv, program, ...args], { cwd: process.cwd() })) ?? 1
  );
}

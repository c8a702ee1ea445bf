import { join } from "node:path";
import { ROOT, runVisibly } from "../tools.ts";

/** `./airlock bench`: a process of its own, because the command line needs nothing of what measures it. */
export async function bench(args: readonly string[]): Promise<number> {
  const program = join(ROOT, "bench", "main.ts");
  return (
    (await runVisibly([process.execPath, ...process.execArgv, program, ...args], { cwd: process.cwd() })) ?? 1
  );
}

import { setImmediate as turn } from "node:timers/promises";
import { isOutputIncomplete } from "./terminal/closed-output.ts";

/**
 * Ends the process after its output is written, because a pipe takes 64 KiB and the rest waits for the
 * reader. A success whose output is incomplete becomes status 1.
 */
export async function exit(status: number): Promise<never> {
  const written = [process.stdout, process.stderr].map(
    (stream) => new Promise<void>((resolve) => stream.write("", () => resolve())),
  );
  await Promise.all(written);
  // A stream emits the error of its last write some ticks after that write.
  await turn();
  process.exit(status === 0 && isOutputIncomplete() ? 1 : status);
}

import { setImmediate as turn } from "node:timers/promises";
import { isOutputIncomplete } from "./terminal/closed-output.ts";

/**
 * Ends the process once all its output is written, because a pipe takes 64 KiB at a time and the rest waits
 * until the reader takes it. A success whose output is incomplete becomes status 1.
 */
export async function exit(status: number): Promise<never> {
  const written = [process.stdout, process.stderr].map(
    (stream) => new Promise<void>((resolve) => stream.write("", () => resolve())),
  );
  await Promise.all(written);
  // The stream's `error` event comes some ticks after its last write, so `isOutputIncomplete` is asked one
  // turn later.
  await turn();
  process.exit(status === 0 && isOutputIncomplete() ? 1 : status);
}

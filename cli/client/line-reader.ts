import { openSync } from "node:fs";
import { createInterface } from "node:readline";
import { ReadStream } from "node:tty";

/**
 * Reads lines that the user types. `next` resolves to null when there are no more lines, or when `signal`
 * aborts.
 */
export type LineReader = { next(signal: AbortSignal): Promise<string | null>; close(): void };

/**
 * Reads the user's lines from standard input, or from the terminal when the script itself came from standard
 * input. Without a terminal `next` resolves to null at once.
 */
export function openLineReader(stdinIsTaken: boolean): LineReader {
  const input = stdinIsTaken ? openTerminal() : process.stdin;
  if (!input) return { next: async () => null, close: () => undefined };
  const lines = createInterface({ input, terminal: false });
  const iterator = lines[Symbol.asyncIterator]();
  return {
    async next(signal) {
      const aborted = new Promise<null>((resolve) => {
        if (signal.aborted) resolve(null);
        signal.addEventListener("abort", () => resolve(null), { once: true });
      });
      const line = iterator.next().then(({ value, done }) => (done ? null : (value as string)));
      return await Promise.race([line, aborted]);
    },
    close() {
      lines.close();
      if (input !== process.stdin) input.destroy();
    },
  };
}

/**
 * Opens the terminal as a TTY stream and not as a file, because a file is read on a thread, and the process
 * could not exit before the user types a line.
 */
function openTerminal(): ReadStream | undefined {
  try {
    return new ReadStream(openSync("/dev/tty", "r"));
  } catch {
    // There is no terminal, so no user can be asked.
    return undefined;
  }
}

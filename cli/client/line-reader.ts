import { openSync } from "node:fs";
import { createInterface } from "node:readline";
import { ReadStream } from "node:tty";

/** Reads answers line by line; null when there are no more. */
export type LineReader = { next(signal: AbortSignal): Promise<string | null>; close(): void };

/** Lines from standard input, or from the terminal when standard input was used for something else. */
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

/** As a terminal and not as a file: a file is read on a thread, for which the end of the process would wait until a line is typed. */
function openTerminal(): ReadStream | undefined {
  try {
    return new ReadStream(openSync("/dev/tty", "r"));
  } catch {
    // There is no terminal: nobody can be asked.
    return undefined;
  }
}

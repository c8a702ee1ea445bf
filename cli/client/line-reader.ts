import { open } from "node:fs/promises";
import { createInterface } from "node:readline";

/** Reads answers line by line; null when there are no more. */
export type LineReader = { next(signal: AbortSignal): Promise<string | null>; close(): void };

/** Lines from standard input, or from the terminal when standard input was used for something else. */
export async function openLineReader(stdinIsTaken: boolean): Promise<LineReader> {
  const input = stdinIsTaken ? await openTerminal() : process.stdin;
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
    close: () => lines.close(),
  };
}

async function openTerminal(): Promise<NodeJS.ReadableStream | undefined> {
  try {
    return (await open("/dev/tty", "r")).createReadStream();
  } catch {
    // There is no terminal: nobody can be asked.
    return undefined;
  }
}

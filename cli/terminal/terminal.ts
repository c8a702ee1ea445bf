import type { WriteStream } from "node:tty";

// Control characters of ASCII and of C1, line separators, and what changes the direction of text.
const CONTROLS = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/**
 * Spells out, as long as the stream is a terminal, what would control it: anything that is printed may come from a hostile
 * script, and a terminal obeys. Line ends, tabs and carriage returns pass, which progress bars need; a script has its own
 * lines to overwrite. What goes to a pipe or a file stays as it is.
 */
export function guardTerminal(stream: Pick<WriteStream, "isTTY" | "write">): void {
  if (!stream.isTTY) return;
  const write = stream.write.bind(stream) as (...args: unknown[]) => boolean;
  stream.write = ((chunk: string | Uint8Array, ...rest: unknown[]) =>
    write(
      spelledOut(typeof chunk === "string" ? chunk : Buffer.from(chunk).toString("utf8"), "\n\t\r"),
      ...rest,
    )) as WriteStream["write"];
}

/** A text of several lines that is not Airlock's own, to stand between words of Airlock's. */
export function quoted(text: string): string {
  return spelledOut(text, "\n\t");
}

/** JSON for people to see: the same value, with escapes for what would control a terminal. */
function visibleJson(json: string): string {
  return json.replaceAll(CONTROLS, (character) =>
    "\n\t\r".includes(character) ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** JSON as it was sent; on a terminal the same value, without what would control it. */
export function forOutput(json: string): string {
  return process.stdout.isTTY ? visibleJson(json) : json;
}

function spelledOut(text: string, kept: string): string {
  return text.replaceAll(CONTROLS, (character) =>
    kept.includes(character) ? character : `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}

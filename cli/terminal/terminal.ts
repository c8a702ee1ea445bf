import type { WriteStream } from "node:tty";

// Matches the control characters of ASCII and C1, line separators, and characters that change the direction
// of text.
const CONTROLS = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/**
 * Escapes control characters in everything written to `stream`, if it is a terminal, because output may come
 * from a hostile script. Line ends, tabs and carriage returns pass, because progress bars need them, and a
 * script can only overwrite its own lines. Output to a pipe or a file is not changed.
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

/**
 * Escapes control characters in a text that a script or a server wrote, before it is printed within Airlock's
 * own words. Line ends and tabs stay.
 */
export function quoted(text: string): string {
  return spelledOut(text, "\n\t");
}

/** Replaces control characters in JSON text by JSON escapes; the value stays the same. */
function visibleJson(json: string): string {
  return json.replaceAll(CONTROLS, (character) =>
    "\n\t\r".includes(character) ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/**
 * JSON text for standard output: unchanged for a pipe or file, with control characters escaped for a
 * terminal.
 */
export function forOutput(json: string): string {
  return process.stdout.isTTY ? visibleJson(json) : json;
}

function spelledOut(text: string, kept: string): string {
  return text.replaceAll(CONTROLS, (character) =>
    kept.includes(character) ? character : `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}

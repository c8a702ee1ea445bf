import type { Spelling } from "./spelling.ts";

type NonAscii = "printable" | "escaped" | "bytes";

const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};

/** As Python's repr() (printable), ascii() (escaped) and the repr of its UTF-8 bytes write it, without the quotes. */
function pythonSpelling(nonAscii: NonAscii, quote: "'" | "\\'"): Spelling {
  const write = (text: string) =>
    [...text].map((character) => (character === "'" ? quote : escaped(character, nonAscii))).join("");
  return { write, marksToo: true };
}

function escaped(character: string, nonAscii: NonAscii): string {
  const short = SHORT_ESCAPES[character];
  if (short) return short;
  if (character === " " || (character >= "!" && character <= "~")) return character;
  if (nonAscii === "bytes") {
    return [...Buffer.from(character)].map((byte) => `\\x${hex(byte, 2)}`).join("");
  }
  if (nonAscii === "printable" && !/[\p{C}\p{Z}]/u.test(character)) return character;
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x100) return `\\x${hex(code, 2)}`;
  return code < 0x1_0000 ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`;
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, "0");
}

/** An apostrophe is escaped only where the text holds quotation marks too, or another program quotes it. */
export const PYTHON_SPELLINGS: readonly Spelling[] = (["printable", "escaped", "bytes"] as const).flatMap(
  (nonAscii) => [pythonSpelling(nonAscii, "'"), pythonSpelling(nonAscii, "\\'")],
);

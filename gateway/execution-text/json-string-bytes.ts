const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const FIRST_PRINTABLE = 0x20;
const SHORT_ESCAPES: Readonly<Record<number, string>> = {
  8: "b",
  9: "t",
  10: "n",
  12: "f",
  13: "r",
  [QUOTE]: '"',
  [BACKSLASH]: "\\",
};

/**
 * The JSON escape of each byte value. Undefined: the byte is copied as it is, such as each byte of a
 * character beyond ASCII.
 */
const ESCAPES: readonly (Uint8Array | undefined)[] = Array.from({ length: 256 }, (_, byte) => {
  const short = SHORT_ESCAPES[byte];
  if (short !== undefined) return Buffer.from(`\\${short}`);
  return byte < FIRST_PRINTABLE ? Buffer.from(`\\u${byte.toString(16).padStart(4, "0")}`) : undefined;
});
/** By byte value: the number of bytes that escaping adds. */
const MORE_BYTES = Uint8Array.from(ESCAPES, (spelled) => (spelled?.length ?? 1) - 1);

/**
 * Escapes UTF-8 for the inside of a JSON string. Returns `text` itself when nothing needs an escape. Escaping
 * piece by piece gives the same bytes as escaping the whole text.
 */
export function escapeBytes(text: Uint8Array): Uint8Array {
  let length = text.length;
  for (let at = 0; at < text.length; at++) length += MORE_BYTES[text[at] as number] as number;
  if (length === text.length) return text;
  const escaped = new Uint8Array(length);
  let to = 0;
  for (let at = 0; at < text.length; at++) {
    const byte = text[at] as number;
    const spelled = ESCAPES[byte];
    if (spelled === undefined) escaped[to++] = byte;
    else for (let n = 0; n < spelled.length; n++) escaped[to++] = spelled[n] as number;
  }
  return escaped;
}

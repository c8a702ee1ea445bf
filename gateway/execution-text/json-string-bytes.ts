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

/** By byte, what stands for it in a JSON string; undefined: itself, as do all bytes of characters beyond ASCII. */
const ESCAPES: readonly (Uint8Array | undefined)[] = Array.from({ length: 256 }, (_, byte) => {
  const short = SHORT_ESCAPES[byte];
  if (short !== undefined) return Buffer.from(`\\${short}`);
  return byte < FIRST_PRINTABLE ? Buffer.from(`\\u${byte.toString(16).padStart(4, "0")}`) : undefined;
});
const MORE_BYTES = Uint8Array.from(ESCAPES, (spelled) => (spelled?.length ?? 1) - 1);

/** UTF-8 as it stands between the quotes of a JSON string. Piece by piece it gives the same as at once. */
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

import { codeUnit } from "./json-tokens.ts";

const BACKSLASH = 0x5c;

/** The byte that each letter after a backslash stands for; 0 for letters that are no simple escape. */
const MEANING = new Uint8Array(256);
for (const [letter, byte] of Object.entries({
  b: 8,
  t: 9,
  n: 10,
  f: 12,
  r: 13,
  '"': 34,
  "/": 47,
  "\\": 92,
})) {
  MEANING[letter.charCodeAt(0)] = byte;
}

/**
 * The progress of `decodeString` within one string, so that a long string can be decoded in several calls.
 */
export type DecodePosition = {
  /** Byte offset in the JSON text of the next byte to read. */
  from: number;
  /** Byte offset in the decoded bytes of the next byte to write. */
  to: number;
  /** True once half of a surrogate pair without the other half was read; undefined until then. */
  hasLoneSurrogate?: boolean;
};

/**
 * Decodes the inside of a valid JSON string into UTF-8, up to the offset `end` of `text`. `target` must have
 * space for all of it. Half of a surrogate pair without the other half becomes U+FFFD. Reads about `bytes`
 * bytes of the text from `position` on and moves `position` forward.
 */
export function decodeString(
  text: Uint8Array,
  end: number,
  target: Uint8Array,
  position: DecodePosition,
  bytes = Number.POSITIVE_INFINITY,
): void {
  const stop = Math.min(end, position.from + bytes);
  let from = position.from;
  let to = position.to;
  while (from < stop) {
    const byte = text[from++] as number;
    if (byte !== BACKSLASH) {
      target[to++] = byte;
      continue;
    }
    const letter = text[from++] as number;
    if (letter !== 0x75) {
      target[to++] = MEANING[letter] as number;
      continue;
    }
    let code = codeUnit(text, from);
    from += 4;
    if (code >= 0xd800 && code <= 0xdfff) {
      const isHigh = code < 0xdc00 && from < end && text[from] === BACKSLASH && text[from + 1] === 0x75;
      const low = isHigh ? codeUnit(text, from + 2) : 0;
      if (low >= 0xdc00 && low <= 0xdfff) {
        code = 0x10000 + (code - 0xd800) * 0x400 + (low - 0xdc00);
        from += 6;
      } else {
        code = 0xfffd;
        position.hasLoneSurrogate = true;
      }
    }
    to = writeCharacter(target, to, code);
  }
  position.from = from;
  position.to = to;
}

function writeCharacter(target: Uint8Array, at: number, code: number): number {
  if (code < 0x80) {
    target[at] = code;
    return at + 1;
  }
  if (code < 0x800) {
    target[at] = 0xc0 | (code >> 6);
    target[at + 1] = 0x80 | (code & 0x3f);
    return at + 2;
  }
  if (code < 0x10000) {
    target[at] = 0xe0 | (code >> 12);
    target[at + 1] = 0x80 | ((code >> 6) & 0x3f);
    target[at + 2] = 0x80 | (code & 0x3f);
    return at + 3;
  }
  target[at] = 0xf0 | (code >> 18);
  target[at + 1] = 0x80 | ((code >> 12) & 0x3f);
  target[at + 2] = 0x80 | ((code >> 6) & 0x3f);
  target[at + 3] = 0x80 | (code & 0x3f);
  return at + 4;
}

import { SHORT_ESCAPES } from "./escape-names.ts";

const PLUS = 0x2b;
const [BACKSLASH, EQUALS, ESC, NEWLINE, RETURN, BRACKET] = [0x5c, 0x3d, 0x1b, 0x0a, 0x0d, 0x5b];

/** The result, in place of a code or an offset, for bytes that are no escape. */
export const NO_ESCAPE = -1;

/** For each byte, its value as a hexadecimal digit, or -1. */
export const HEX_DIGIT = new Int8Array(256).fill(-1);
for (let digit = 0; digit < 16; digit++) {
  const character = digit.toString(16);
  HEX_DIGIT[character.charCodeAt(0)] = digit;
  HEX_DIGIT[character.toUpperCase().charCodeAt(0)] = digit;
}

/** For each byte after a backslash, the byte that both together stand for, or NO_ESCAPE. */
export const SINGLES = new Int8Array(256).fill(NO_ESCAPE);
/** For each byte after a backslash, 1 if further bytes may belong to the escape. */
export const MAY_BE_LONG = new Uint8Array(256);
// Shells also escape blanks and line ends, and regular expressions escape all punctuation.
for (const byte of [0x09, 0x0a, 0x0d]) SINGLES[byte] = byte;
for (let byte = 0x20; byte < 0x7f; byte++) if (!isLetterOrDigit(byte)) SINGLES[byte] = byte;
for (const [letter, code] of SHORT_ESCAPES) SINGLES[letter] = code;
for (const byte of Buffer.from("uUx01234567\\")) MAY_BE_LONG[byte] = 1;

export function isEntityByte(byte: number): boolean {
  return isLetterOrDigit(byte) || byte === 0x23;
}

export function asciiOf(bytes: Uint8Array, from: number, to: number): string {
  let text = "";
  for (let at = from; at < to; at++) text += String.fromCharCode(bytes[at] as number);
  return text;
}

export function isLetterOrDigit(code: number): boolean {
  return (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a);
}

export function isQuote(byte: number): boolean {
  return byte === 0x22 || byte === 0x27;
}

/**
 * Whether the character at `at` is inside a run of itself, such as `{{{{`. If no needle has the character
 * twice in a row, no escape that begins there matters, because the beginning and the end of the run give all
 * readings. Runs of backslashes are excluded, because each backslash may escape the next one, and runs of plus
 * signs, because a plus sign stands for a blank, so that the run may be both in any order.
 */
export function isWithinRun(text: Uint8Array, at: number): boolean {
  const sign = text[at];
  return (
    sign === text[at + 1] &&
    sign === text[at + 2] &&
    sign === text[at - 1] &&
    sign !== BACKSLASH &&
    sign !== PLUS
  );
}

/**
 * Whether an escape at `at` can only stand for no character at all: a soft line break of quoted-printable, or
 * the control sequence of a terminal, such as a colour.
 */
export function mayBeNothing(text: Uint8Array, at: number): boolean {
  const sign = text[at];
  return sign === ESC || (sign === EQUALS && (text[at + 1] === NEWLINE || text[at + 1] === RETURN));
}

/** Bytes of the longest control sequence of a terminal that is read; no program writes a longer one. */
const MAX_SEQUENCE_BYTES = 32;

/**
 * The offset after a soft line break of quoted-printable, or the control sequence of a terminal, at `at`.
 * `NO_ESCAPE` when there is none, and `UNKNOWN` when its end has not arrived yet.
 */
export function behindNothing(text: Uint8Array, at: number): number {
  const next = text[at + 1];
  if (next === undefined) return UNKNOWN;
  if (text[at] === EQUALS) {
    if (next === NEWLINE) return at + 2;
    if (text[at + 2] === undefined) return UNKNOWN;
    return text[at + 2] === NEWLINE ? at + 3 : NO_ESCAPE;
  }
  if (next !== BRACKET) return NO_ESCAPE;
  for (let place = at + 2; place < at + MAX_SEQUENCE_BYTES; place++) {
    const byte = text[place];
    if (byte === undefined) return UNKNOWN;
    if (byte >= 0x40 && byte <= 0x7e) return place + 1;
    if (byte < 0x20 || byte > 0x3f) return NO_ESCAPE;
  }
  return NO_ESCAPE;
}

/** The result of `behindNothing` when more bytes must arrive before the end of the escape is known. */
export const UNKNOWN = -2;

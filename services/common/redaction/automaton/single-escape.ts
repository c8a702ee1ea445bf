import {
  asciiOf,
  HEX_DIGIT,
  isEntityByte,
  isLetterOrDigit,
  isQuote,
  MAY_BE_LONG,
  NO_ESCAPE,
  SINGLES,
} from "../escapes/escape-bytes.ts";
import { ENTITIES, MAX_ENTITY_BYTES } from "../escapes/escape-names.ts";
import { RAW_BYTE } from "../escapes/escape-reader.ts";
import { wordAt } from "./gram-set.ts";

/**
 * The result of `SingleEscapes.read` when an escape may have more than one reading, or depends on bytes after
 * it. EscapeReader then decides.
 */
export const MANY = -2;

/**
 * Added to a code from 0x80 to 0xff that may be a character or a byte, such as `\xe9`, which stands for the
 * character in the repr of a Python text, and for the byte in the repr of Python bytes.
 */
export const EITHER = 0x80_0000;

const [BACKSLASH, PERCENT, AMPERSAND, EQUALS, PLUS, SPACE] = [0x5c, 0x25, 0x26, 0x3d, 0x2b, 0x20];
const [ESC, NEWLINE, RETURN, SEMICOLON, NUMBER_SIGN, BRACKET] = [0x1b, 0x0a, 0x0d, 0x3b, 0x23, 0x5b];
const [QUOTATION_MARK, APOSTROPHE] = [0x22, 0x27];
const [LETTER_U, LETTER_X] = [0x75, 0x78];
const [QUOT, AMP] = ["quot", "amp;"].map((name) => wordAt(Buffer.from(name), 0));
const [FIRST_OCTAL, LAST_OCTAL] = [0x30, 0x37];

/**
 * A fast reader of common escapes, which can be read in only one way besides the bytes as they are written.
 */
export class SingleEscapes {
  /** The offset after the escape that was read last. */
  next = 0;
  readonly #introduces: Uint8Array;
  /**
   * Whether `read` is called for an escape that follows another escape. Only one such level is followed, so
   * that the work is bounded.
   */
  #isNested = false;

  /** `introduces`: for each byte, 1 if it may begin an escape that matters for the needles. */
  constructor(introduces: Uint8Array) {
    this.#introduces = introduces;
  }

  /** Whether `first` may begin an escape if `second` follows it. */
  static mayBegin(introduces: Uint8Array, first: number, second: number): boolean {
    if (introduces[first] === 0) return false;
    if (introduces[second] === 1 || first === PLUS) return true;
    switch (first) {
      case BACKSLASH:
        return MAY_BE_LONG[second] === 1 || SINGLES[second] !== NO_ESCAPE;
      case PERCENT:
        return HEX_DIGIT[second] !== NO_ESCAPE;
      case EQUALS:
        return HEX_DIGIT[second] !== NO_ESCAPE || second === NEWLINE || second === RETURN;
      case AMPERSAND:
        return isEntityByte(second);
      case ESC:
        return second === BRACKET;
      default:
        // A quote may begin an escape when another quote follows, because in a shell's `'"'"'` the second
        // quote is another than the first.
        return isQuote(second);
    }
  }

  /**
   * The only reading of the bytes at `at`, besides the bytes themselves: a code point, a byte plus
   * `RAW_BYTE`, or a code plus `EITHER` that may be both. `NO_ESCAPE` when there is none, and `MANY` when
   * `EscapeReader` has to decide.
   */
  read(bytes: Uint8Array, at: number): number {
    const next = bytes[at + 1];
    if (next === undefined) return MANY;
    const byte = bytes[at] as number;
    if (this.#introduces[next] === 1 && byte !== PLUS) {
      if (!isQuote(next) || byte === APOSTROPHE || byte === next) return MANY;
      // The second byte is a quote, which is no digit, letter or bracket of an escape. So only a backslash
      // can form an escape with it.
      if (byte !== BACKSLASH) return NO_ESCAPE;
    }
    switch (byte) {
      case BACKSLASH:
        if (MAY_BE_LONG[next] === 0) {
          this.next = at + 2;
          return this.#alone(bytes, SINGLES[next] as number);
        }
        return this.#longBackslash(bytes, at, next);
      case PERCENT:
        return this.#hexByte(bytes, at, next);
      case EQUALS:
        if (next === NEWLINE || next === RETURN) return MANY;
        return this.#hexByte(bytes, at, next);
      case AMPERSAND:
        return next === NUMBER_SIGN ? this.#reference(bytes, at + 2) : this.#entity(bytes, at + 1);
      case ESC:
        return next === BRACKET ? MANY : NO_ESCAPE;
      case PLUS:
        this.next = at + 1;
        return this.#alone(bytes, SPACE);
      default:
        // A doubled quote was handled above, because its second quote begins an escape. In a shell's `'"'"'`
        // the second quote may begin none.
        return isQuote(next) ? MANY : NO_ESCAPE;
    }
  }

  /** Reads a byte written as two hexadecimal digits: `%2B` in URLs, `=3D` in quoted-printable. */
  #hexByte(bytes: Uint8Array, at: number, first: number): number {
    const high = HEX_DIGIT[first] as number;
    if (high < 0) return NO_ESCAPE;
    const second = bytes[at + 2];
    if (second === undefined || this.#introduces[second] === 1) return MANY;
    const low = HEX_DIGIT[second] as number;
    if (low < 0) return NO_ESCAPE;
    const code = high * 16 + low;
    // Quoted-printable never escapes letters and digits.
    if (bytes[at] === EQUALS && isLetterOrDigit(code)) return NO_ESCAPE;
    this.next = at + 3;
    return code < 0x80 ? this.#alone(bytes, code) : code + RAW_BYTE;
  }

  /** Reads `\xe9`, `\u00e9` or `\351`. `MANY` for any other form, which EscapeReader then reads. */
  #longBackslash(bytes: Uint8Array, at: number, letter: number): number {
    let code = 0;
    if (letter >= FIRST_OCTAL && letter <= LAST_OCTAL) {
      const [second, third] = [bytes[at + 2] as number, bytes[at + 3] as number];
      const areOctal =
        second >= FIRST_OCTAL && second <= LAST_OCTAL && third >= FIRST_OCTAL && third <= LAST_OCTAL;
      if (!areOctal || letter > 0x33) return MANY;
      code = (letter - FIRST_OCTAL) * 64 + (second - FIRST_OCTAL) * 8 + third - FIRST_OCTAL;
      this.next = at + 4;
      if (code >= 0x80) return code <= 0xff ? code + EITHER : code + RAW_BYTE;
    } else {
      const digits = letter === LETTER_X ? 2 : letter === LETTER_U ? 4 : 0;
      if (digits === 0) return MANY;
      for (let place = at + 2; place < at + 2 + digits; place++) {
        const digit = place < bytes.length ? (HEX_DIGIT[bytes[place] as number] as number) : -1;
        if (digit < 0) return MANY;
        code = code * 16 + digit;
      }
      this.next = at + 2 + digits;
    }
    return this.#character(bytes, code, true);
  }

  /**
   * Returns `code`, or `MANY` when `code` itself may begin an escape together with the bytes at `next`,
   * because the text was escaped twice.
   */
  #alone(bytes: Uint8Array, code: number): number {
    if (code < 0 || this.#introduces[code] === 0) return code;
    const next = bytes[this.next];
    if (next === undefined) return MANY;
    if (this.#introduces[next] === 1) return this.#isBeforeOther(bytes, code) ? code : MANY;
    return SingleEscapes.mayBegin(this.#introduces, code, next) ? MANY : code;
  }

  /**
   * Whether `code` is a quote that begins no escape, because the bytes at `next` cannot stand for a quote or
   * a backslash.
   */
  #isBeforeOther(bytes: Uint8Array, code: number): boolean {
    const next = this.next;
    if (!isQuote(code) || this.#isNested || isQuote(bytes[next] as number)) return false;
    this.#isNested = true;
    const other = this.read(bytes, next);
    this.#isNested = false;
    this.next = next;
    return other !== MANY && !isQuote(other) && other !== BACKSLASH;
  }

  #character(bytes: Uint8Array, code: number, mayBeByte: boolean): number {
    if (code < 0x80) return this.#alone(bytes, code);
    if (code <= 0xff) return mayBeByte ? code + EITHER : code;
    return (code >= 0xd800 && code <= 0xdfff) || code > 0x10_ffff ? MANY : code;
  }

  /** Reads a numeric HTML entity: `&#39;` or `&#x27;`. */
  #reference(bytes: Uint8Array, at: number): number {
    const isHex = ((bytes[at] as number) | 0x20) === LETTER_X;
    const base = isHex ? 16 : 10;
    const from = isHex ? at + 1 : at;
    let code = 0;
    let next = from;
    for (; next < from + 6 && next < bytes.length; next++) {
      const digit = HEX_DIGIT[bytes[next] as number] as number;
      if (digit < 0 || digit >= base) break;
      code = code * base + digit;
    }
    if (next === from || bytes[next] !== SEMICOLON) return MANY;
    this.next = next + 1;
    return this.#character(bytes, code, false);
  }

  #entity(bytes: Uint8Array, at: number): number {
    // `&quot;` and `&amp;` are checked first, because they are the most frequent entities.
    const word = wordAt(bytes, at);
    if (word === QUOT && bytes[at + 4] === SEMICOLON) {
      this.next = at + 5;
      return this.#alone(bytes, QUOTATION_MARK);
    }
    if (word === AMP) return MANY;
    let next = at;
    while (next < at + MAX_ENTITY_BYTES && isEntityByte(bytes[next] as number)) next++;
    const end = bytes[next];
    if (end === undefined || this.#introduces[end] === 1) return MANY;
    if (end !== SEMICOLON) return NO_ESCAPE;
    const code = ENTITIES.get(asciiOf(bytes, at, next));
    if (code === undefined) return NO_ESCAPE;
    this.next = next + 1;
    return this.#alone(bytes, code);
  }
}

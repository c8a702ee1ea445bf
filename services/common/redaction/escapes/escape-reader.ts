import { HEX_DIGIT, isLetterOrDigit, SINGLES } from "./escape-bytes.ts";
import { ENTITIES, LONGEST_ENTITY, SHORT_ESCAPES } from "./escape-names.ts";

/** The most layers of escaping within one another that are removed; JSON in JSON in a URL has three. */
const MAX_LAYERS = 3;

/** Bytes of the longest escape that is read. No program writes a longer one by chance; this bounds the work. */
export const MAX_ESCAPE_BYTES = 112;

/** The number of backslashes that stand for one backslash after three layers of escaping. */
const LONGEST_RUN = 8;

/** The most readings at one offset: three layers, each with three of what follows, and bytes apart from characters. */
const MAX_FOUND = 16;

/** Offsets whose decoded characters are remembered: more than the bytes of an escape, and a power of two. */
const REMEMBERED = 256;

/** Added to a code from 0x80 on that is a byte and no character, such as `\xc3` in the repr of Python bytes. */
export const RAW_BYTE = 0x20_0000;

/** The code of bytes that stand for no character, such as a soft line break or a terminal's colour. */
export const NOTHING = 0x40_0000;

const [BACKSLASH, PERCENT, AMPERSAND, EQUALS, PLUS, SPACE] = [0x5c, 0x25, 0x26, 0x3d, 0x2b, 0x20];
/** Characters that templates, ODBC and SQL escape by doubling: `$`, `{`, `}`, `]` and a grave accent. */
const DOUBLED: readonly number[] = [0x24, 0x7b, 0x7d, 0x5d, 0x60];
const LETTER_U = 0x75;
/** The last character that one `\uXXXX` can write; later characters need two of them. */
const LAST_OF_PLANE_0 = 0xffff;
const [QUOTATION_MARK, APOSTROPHE, ESC, NEWLINE, RETURN, SEMICOLON] = [0x22, 0x27, 0x1b, 0x0a, 0x0d, 0x3b];

/**
 * The bytes that may begin an escape, for patterns that have the given bytes. A doubled quote matters only if a pattern
 * has a quote, and a plus sign for a blank only if a pattern has a blank.
 */
export function introducersFor(bytes: Uint8Array): number[] {
  const optional = [
    [QUOTATION_MARK, QUOTATION_MARK],
    [APOSTROPHE, APOSTROPHE],
    [PLUS, SPACE],
    ...DOUBLED.map((sign) => [sign, sign] as const),
  ] as const;
  const needed = optional.filter(([, stands]) => bytes[stands] === 1).map(([introducer]) => introducer);
  return [BACKSLASH, PERCENT, AMPERSAND, EQUALS, ESC, ...needed];
}

/**
 * Reads escapes of JSON, Python, C and shells (`\"`, `\u00e9`, `\xe9`, `\303`), URLs (`%2B`), HTML (`&#x27;`) and
 * quoted-printable (`=3D`), doubled quotes of CSV, SQL and YAML, and colours of terminals, which stand for nothing. Up
 * to three escapings may be within one another, in any mix.
 */
export class EscapeReader {
  /** The number of readings that `read` found, in `codes` and `nexts`. */
  count = 0;
  /** For each reading, a code point, a byte plus `RAW_BYTE`, or `NOTHING`. */
  readonly codes = new Int32Array(MAX_FOUND);
  /** For each reading, the offset at which the text continues after it. */
  readonly nexts = new Int32Array(MAX_FOUND);
  readonly #introduces: Uint8Array;
  #bytes: Uint8Array = new Uint8Array();
  #limit = 0;
  #isAll = false;
  #isShort = false;
  #code = 0;
  #next = 0;
  /** The number of layers of escaping that were removed to get `#code`. */
  #depth = 0;
  /** Remembered results of `#decoded`, by layer and offset: the offset, `#code`, `#next` and `#depth`. */
  readonly #places = new Int32Array(MAX_LAYERS * REMEMBERED);
  readonly #placeCodes = new Int32Array(MAX_LAYERS * REMEMBERED);
  readonly #placeNexts = new Int32Array(MAX_LAYERS * REMEMBERED);
  readonly #placeDepths = new Uint8Array(MAX_LAYERS * REMEMBERED);

  /** `introduces`: for each byte, 1 if it may begin an escape that matters for the needles. */
  constructor(introduces: Uint8Array) {
    this.#introduces = introduces;
  }

  /**
   * Finds all readings of the bytes at `at`, besides the bytes themselves. Returns false, and finds none, when they
   * depend on bytes that have not arrived yet. `isAll`: no bytes will follow `bytes`.
   */
  read(bytes: Uint8Array, at: number, isAll: boolean): boolean {
    this.count = 0;
    if (this.#bytes !== bytes) this.#places.fill(-1);
    this.#bytes = bytes;
    this.#limit = Math.min(bytes.length, at + MAX_ESCAPE_BYTES);
    this.#isAll = isAll || this.#limit < bytes.length;
    this.#isShort = false;
    const isKnown = this.#readRun(at) || this.#readLayers(at);
    if (isKnown && (!this.#isShort || this.#isAll)) return true;
    this.count = 0;
    return false;
  }

  #readLayers(at: number): true {
    const bytes = this.#bytes;
    let code = bytes[at] as number;
    let next = at + 1;
    let depth = 0;
    for (let layer = 0; layer < MAX_LAYERS; layer++) {
      if (layer > 0) {
        if (!this.#decoded(layer, at)) break;
        if (this.#next === next) {
          // Only a quote may begin its own escaped form, as in a shell's `'"'"'`, when this layer leaves the quote as
          // it is.
          if (code === APOSTROPHE || code === QUOTATION_MARK) continue;
          break;
        }
        code = this.#code;
        next = this.#next;
        depth = this.#depth;
        if (!this.#mayIntroduce(code)) break;
      }
      // The bytes after the introducer may be escaped in further layers, which the introducer is not: JSON
      // in HTML has `\&quot;`.
      for (let inner = layer; inner < MAX_LAYERS; inner++) {
        if (inner > layer && !this.#mayIntroduce(bytes[next] as number) && !this.#breaksSoon(next)) break;
        if (this.#escape(inner, code, depth, next)) this.#found(code);
      }
    }
    return true;
  }

  /** Whether a soft line break may split an escape whose other characters begin at `at`. */
  #breaksSoon(at: number): boolean {
    for (let next = at; next < at + 5 && next < this.#limit; next++)
      if (this.#bytes[next] === EQUALS) return true;
    return false;
  }

  /**
   * Finds all readings at once in the most frequent case: a run of backslashes before a character that begins no other
   * escape. Each layer of escaping halves the run. Returns false in all other cases.
   */
  #readRun(at: number): boolean {
    const bytes = this.#bytes;
    if (bytes[at] !== BACKSLASH) return false;
    let length = 1;
    while (length < LONGEST_RUN && bytes[at + length] === BACKSLASH) length++;
    for (let run = 2; run <= length; run *= 2) this.#add(BACKSLASH, at + run);
    if (length === LONGEST_RUN) return true;
    const last = bytes[at + length];
    if (last === undefined || this.#mayIntroduce(last)) {
      this.count = 0;
      return false;
    }
    // These cases are left to `#readLayers`: a surrogate pair, whose second half has backslashes of its own, and an
    // `ESC`, which begins a colour.
    const isRead = this.#escape(0, BACKSLASH, 0, at + length);
    if (isRead ? this.#mayIntroduce(this.#code) || this.#code > LAST_OF_PLANE_0 : last === LETTER_U) {
      this.count = 0;
      return false;
    }
    if (!isRead) return true;
    // With 3, 5, 6 or 7 backslashes the character itself was escaped too. Only punctuation, blanks and line ends are.
    const isOnce = (length & (length - 1)) === 0;
    if (isOnce || (this.#code < 0x80 && SINGLES[this.#code] === this.#code)) this.#found(BACKSLASH);
    return true;
  }

  #found(introducer: number): void {
    this.#add(this.#code, this.#next);
    // `\xe9` is a character in the repr of a Python text, and a byte in the repr of Python bytes.
    if (introducer === BACKSLASH && this.#code >= 0x80 && this.#code <= 0xff)
      this.#add(this.#code + RAW_BYTE, this.#next);
  }

  #add(code: number, next: number): void {
    const { codes, nexts, count } = this;
    for (let at = 0; at < count; at++) if (codes[at] === code && nexts[at] === next) return;
    if (count === MAX_FOUND) return;
    codes[count] = code;
    nexts[count] = next;
    this.count++;
  }

  /**
   * Decodes the character at `at` through `layers` layers of escaping. Returns false at the end of the text. Each place
   * is decoded once for each layer and remembered, because every escape that may begin before a place reads it again.
   */
  #decoded(layers: number, at: number): boolean {
    if (at >= this.#limit) {
      this.#isShort = true;
      return false;
    }
    if (layers === 0) {
      this.#code = this.#bytes[at] as number;
      this.#next = at + 1;
      this.#depth = 0;
      return true;
    }
    const place = (layers - 1) * REMEMBERED + (at & (REMEMBERED - 1));
    if (this.#places[place] === at) {
      this.#code = this.#placeCodes[place] as number;
      this.#next = this.#placeNexts[place] as number;
      this.#depth = this.#placeDepths[place] as number;
      return true;
    }
    const wasShort = this.#isShort;
    this.#isShort = false;
    const isThere = this.#decodeLayer(layers, at);
    if (isThere && !this.#isShort) {
      this.#places[place] = at;
      this.#placeCodes[place] = this.#code;
      this.#placeNexts[place] = this.#next;
      this.#placeDepths[place] = this.#depth;
    }
    this.#isShort ||= wasShort;
    return isThere;
  }

  #decodeLayer(layers: number, at: number): boolean {
    if (!this.#decoded(layers - 1, at)) return false;
    const code = this.#code;
    const next = this.#next;
    const depth = this.#depth;
    if (this.#mayIntroduce(code) && this.#escape(layers - 1, code, depth, next)) {
      if (this.#code === NOTHING) return this.#decoded(layers, this.#next);
      this.#depth = depth + 1;
      return true;
    }
    this.#code = code;
    this.#next = next;
    this.#depth = depth;
    return true;
  }

  /**
   * Reads the escape that begins with `introducer`, which was itself escaped `depth` times. The escape's other
   * characters begin at `at` and are escaped up to `layers` times. Returns false when it is no escape.
   */
  #escape(layers: number, introducer: number, depth: number, at: number): boolean {
    // A plus sign for a blank has no other characters, so it may end the text.
    if (introducer === PLUS) return this.#is(SPACE, at);
    if (!this.#decoded(layers, at)) return false;
    const second = this.#code;
    const next = this.#next;
    switch (introducer) {
      case BACKSLASH:
        // An encoder escapes both backslashes alike, so `\\\` is one and a half backslashes and never one.
        if (second === BACKSLASH && this.#depth !== depth) return false;
        return this.#backslash(layers, second, next);
      case PERCENT:
        if (second === PERCENT) return this.#is(PERCENT, next);
        return this.#hexBytes(layers, at, 2, 2) && this.#isByte();
      case AMPERSAND:
        return second === 0x23 ? this.#reference(layers, next) : this.#entity(layers, at);
      case EQUALS:
        return this.#quotedPrintable(layers, at, second, next);
      case QUOTATION_MARK:
        if (second === QUOTATION_MARK) return this.#is(QUOTATION_MARK, next);
        return this.#text(layers, at, "'\"'\"", QUOTATION_MARK);
      case APOSTROPHE:
        if (second === APOSTROPHE) return this.#is(APOSTROPHE, next);
        return this.#text(layers, at, "\\''", APOSTROPHE) || this.#text(layers, at, "\"'\"'", APOSTROPHE);
      case ESC:
        return second === 0x5b && this.#controlSequence(layers, next);
      default:
        return second === introducer && DOUBLED.includes(introducer) && this.#is(introducer, next);
    }
  }

  #backslash(layers: number, second: number, next: number): boolean {
    const short = SHORT_ESCAPES.get(second);
    switch (second) {
      case LETTER_U:
        return this.#unicode(layers, next);
      case 0x55: // U
        return this.#hexBytes(layers, next, 8, 8);
      case 0x78: // x
        return this.#hexBytes(layers, next, 2, 2);
      default:
        if (short !== undefined) return this.#is(short, next);
        if (second >= 0x30 && second <= 0x37) return this.#octal(layers, second - 0x30, next);
        // An escaped blank or line end stands for itself, as in SingleEscapes.
        return second < 0x80 && SINGLES[second] === second && this.#is(second, next);
    }
  }

  /** Reads the text after `\u`: `\u00e9`, a pair of surrogates, or `\u{1f600}`. */
  #unicode(layers: number, at: number): boolean {
    if (!this.#hexBytes(layers, at, 4, 4)) return this.#braced(layers, at);
    const high = this.#code;
    const next = this.#next;
    if (high < 0xd800 || high > 0xdbff) return true;
    if (!this.#text(layers, next, "\\u", 0) || !this.#hexBytes(layers, this.#next, 4, 4)) return false;
    if (this.#code < 0xdc00 || this.#code > 0xdfff) return false;
    this.#code = 0x1_0000 + ((high - 0xd800) << 10) + (this.#code - 0xdc00);
    return true;
  }

  #braced(layers: number, at: number): boolean {
    if (!this.#text(layers, at, "{", 0) || !this.#hexBytes(layers, this.#next, 1, 6)) return false;
    const code = this.#code;
    return this.#text(layers, this.#next, "}", code);
  }

  #octal(layers: number, first: number, at: number): boolean {
    let code = first;
    let next = at;
    for (let digits = 1; digits < 3; digits++) {
      if (!this.#decoded(layers, next) || this.#code < 0x30 || this.#code > 0x37) break;
      code = code * 8 + this.#code - 0x30;
      next = this.#next;
    }
    return code <= 0xff && this.#is(code, next);
  }

  /** Reads `min` to `max` hexadecimal digits. */
  #hexBytes(layers: number, at: number, min: number, max: number): boolean {
    let code = 0;
    let next = at;
    let digits = 0;
    while (digits < max && this.#decoded(layers, next)) {
      const digit = this.#code < 256 ? (HEX_DIGIT[this.#code] as number) : -1;
      if (digit < 0) break;
      code = code * 16 + digit;
      next = this.#next;
      digits++;
    }
    return digits >= min && code <= 0x10_ffff && this.#is(code, next);
  }

  /** Reads a numeric HTML entity: `&#39;` or `&#x27;`. */
  #reference(layers: number, at: number): boolean {
    if (!this.#decoded(layers, at)) return false;
    if (this.#code === 0x78 || this.#code === 0x58) {
      if (!this.#hexBytes(layers, this.#next, 1, 6)) return false;
      return this.#text(layers, this.#next, ";", this.#code);
    }
    let code = 0;
    let next = at;
    for (let digits = 0; digits < 7 && this.#decoded(layers, next); digits++) {
      if (this.#code < 0x30 || this.#code > 0x39) break;
      code = code * 10 + this.#code - 0x30;
      next = this.#next;
    }
    return next > at && code <= 0x10_ffff && this.#text(layers, next, ";", code);
  }

  #entity(layers: number, at: number): boolean {
    let name = "";
    let next = at;
    while (name.length <= LONGEST_ENTITY && this.#decoded(layers, next)) {
      next = this.#next;
      if (this.#code === SEMICOLON) {
        const code = ENTITIES.get(name);
        return code !== undefined && this.#is(code, next);
      }
      if (!isLetterOrDigit(this.#code)) return false;
      name += String.fromCharCode(this.#code);
    }
    return false;
  }

  #quotedPrintable(layers: number, at: number, second: number, next: number): boolean {
    if (second === NEWLINE) return this.#is(NOTHING, next);
    if (second === RETURN) return this.#text(layers, next, "\n", NOTHING);
    return this.#hexBytes(layers, at, 2, 2) && !isLetterOrDigit(this.#code) && this.#isByte();
  }

  /** Reads the text after `ESC [`: parameters and one letter, such as `1;31m`. */
  #controlSequence(layers: number, at: number): boolean {
    let next = at;
    while (this.#decoded(layers, next)) {
      next = this.#next;
      if (this.#code >= 0x40 && this.#code <= 0x7e) return this.#is(NOTHING, next);
      if (this.#code < 0x20 || this.#code > 0x3f) return false;
    }
    return false;
  }

  /** Reads exactly `text` and makes `code` the result. False when the text at `at` is another. */
  #text(layers: number, at: number, text: string, code: number): boolean {
    let next = at;
    for (let index = 0; index < text.length; index++) {
      if (!this.#decoded(layers, next) || this.#code !== text.charCodeAt(index)) return false;
      next = this.#next;
    }
    return this.#is(code, next);
  }

  #mayIntroduce(code: number): boolean {
    return code < 128 && this.#introduces[code] === 1;
  }

  /** Marks the code that was read as a byte, because from 0x80 on a byte is only a part of a character. */
  #isByte(): true {
    if (this.#code >= 0x80) this.#code += RAW_BYTE;
    return true;
  }

  #is(code: number, next = this.#next): true {
    this.#code = code;
    this.#next = next;
    return true;
  }
}

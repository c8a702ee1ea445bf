import {
  behindNothing,
  isQuote,
  isWithinRun,
  MAY_BE_LONG,
  mayBeNothing,
  NO_ESCAPE,
  SINGLES,
  UNKNOWN,
} from "../escapes/escape-bytes.ts";
import { EscapeReader, MAX_ESCAPE_BYTES, NOTHING, RAW_BYTE } from "../escapes/escape-reader.ts";
import { utf8Length, utf8Of } from "../escapes/utf8.ts";
import { type GapKindTable, gapTablesOf, PREFIX_BYTES, type Prefixed } from "./gap-tables.ts";
import { IS_LINE_END, type Stops } from "./gaps.ts";
import { GramSet, PrefixSet, pairAt, wordAt } from "./gram-set.ts";
import { behindGaps, LineBreaks } from "./line-breaks.ts";
import { EITHER, MANY, SingleEscapes } from "./single-escape.ts";

/** The most backslashes in a row for which a quick check is made. */
const MAX_RUN_BYTES = 7;
/** The most escapes and gaps within one needle's beginning that are followed; after more the automaton decides. */
const MAX_DEPTH = 10;
/** The most places with several readings that are followed for one escape or gap; after more the automaton decides. */
const MAX_STEPS = 100;
/** What the reading of one escape with several meanings adds to `work`, the cost of the search so far. */
const READ_WORK = 8;

const [ZERO, X, BACKSLASH] = [0x30, 0x78, 0x5c];

/**
 * Decides at a gap (a separator between the characters of a needle) or an escape in a text whether the first six bytes
 * of a needle may be there. The bytes before are taken as they are written; the gap or escape, and the text after it,
 * as what they stand for. No needle is missed, and a wrong yes is rare.
 */
export class Beginnings {
  /** All sequences of four bytes within the first seven bytes of a needle; within its six bytes if it has no more. */
  readonly grams: GramSet;
  readonly #prefixes: PrefixSet;
  /** For each byte, 1 if it is among the first six bytes of a needle. */
  readonly #isInPrefix = new Uint8Array(256);
  /** For each pair of bytes, 1 if it is within the first six bytes of a needle. */
  readonly #pairs = new Uint8Array(0x1_0000);
  /** For each pair of bytes, 1 if a gap (separator) may follow it after fewer than four bytes of a needle. */
  readonly beforeGap: Uint8Array;
  /** The sets of four bytes before a gap (separator) that stands after four to six bytes of a needle. */
  readonly beforeLateGap: GramSet;
  /** The four bytes around a gap (separator): the two of `beforeGap`, and the two bytes after the gap. */
  readonly #aroundGap: GramSet;
  readonly #introduces: Uint8Array;
  readonly #lineBreaks: LineBreaks;
  readonly #gaps: readonly GapKindTable[];
  /** For each byte, 1 if it may be a gap: a separator, of any kind, between the characters of a needle. */
  readonly #isGap: Uint8Array;
  /** For each byte, 1 if it is among the first six bytes of a needle that may have gaps (separators). */
  readonly #isAround: Uint8Array;
  /**
   * For each byte, 1 if it may be a gap (separator) or begin an escape, so that the text has several readings there.
   */
  readonly #isSplit: Uint8Array;
  /** The readers of escapes with several readings: one for each level of escapes that follow one another. */
  readonly #readers: readonly EscapeReader[];
  readonly #singles: SingleEscapes;
  #steps = 0;
  /** The cost of the prefix filter's search so far: escapes read slowly, and places with more than one reading. */
  work = 0;
  /** The number of escapes that were read since the prefix filter last set it to 0. */
  escapes = 0;

  /**
   * `others` (prefixes of credentials) are searched for only as they are written. All texts must have at least six
   * bytes.
   */
  constructor(needles: readonly Prefixed[], others: readonly Uint8Array[], { introduces, gaps }: Stops) {
    const all = [...needles.map(({ bytes }) => bytes), ...others];
    this.grams = new GramSet(all.length * 4);
    this.#prefixes = new PrefixSet(all.length);
    for (const bytes of all) {
      for (let at = 0; at < 4 && at + 4 <= bytes.length; at++) this.grams.add(wordAt(bytes, at));
      this.#prefixes.add(wordAt(bytes, 0), pairAt(bytes, 4));
    }
    for (const { bytes } of needles)
      for (const byte of bytes.subarray(0, PREFIX_BYTES)) this.#isInPrefix[byte] = 1;
    for (const { bytes } of needles)
      for (let at = 0; at < PREFIX_BYTES - 1; at++) this.#pairs[pairAt(bytes, at)] = 1;
    this.#introduces = introduces;
    const tables = gapTablesOf(needles, gaps);
    this.#gaps = tables.kinds;
    this.#isGap = tables.isGap;
    this.#isAround = tables.isAround;
    this.beforeGap = tables.beforeGap;
    this.beforeLateGap = tables.beforeLateGap;
    this.#aroundGap = tables.aroundGap;
    this.#lineBreaks = new LineBreaks(needles, tables.isGap, introduces);
    this.#isSplit = this.#isGap.map((isGap, byte) => isGap | (introduces[byte] as number));
    this.#singles = new SingleEscapes(introduces);
    this.#readers = Array.from({ length: MAX_DEPTH }, () => new EscapeReader(introduces));
  }

  /**
   * Whether a gap (separator) may stand between the two bytes `before` and the bytes `first` and `second`, all within a
   * needle's beginning and with fewer than four bytes of the needle before the gap.
   */
  mayBeAround(before: number, first: number, second: number): boolean {
    if (this.beforeGap[before] === 0) return false;
    if (this.#isSplit[first] !== 0 || this.#isSplit[second] !== 0 || (first === ZERO && second === X))
      return true;
    return this.#aroundGap.has(before | (first << 16) | (second << 24));
  }

  /** Whether a needle may have `byte` directly before the gap (separator) `gap`. */
  mayPrecedeGap(byte: number, gap: number): boolean {
    return this.#gaps.some(({ isGap, isAround }) => isGap[gap] === 1 && isAround[byte] === 1);
  }

  /** Whether the six bytes at `at`, as they are written, are the beginning of a needle. */
  areAt(text: Uint8Array, at: number): boolean {
    return this.#prefixes.has(wordAt(text, at), pairAt(text, at + 4));
  }

  /** Whether the gap (separator) `byte`, which is written from `at` to `next`, may be the first gap in a needle. */
  mayHaveGap(text: Uint8Array, at: number, byte: number, next: number): boolean {
    this.#steps = MAX_STEPS;
    return this.#gapGoesOn(text, at, byte, next);
  }

  #gapGoesOn(text: Uint8Array, at: number, byte: number, next: number): boolean {
    // When four or more bytes of a needle stand before the gap, the last four of them decide for all kinds of gaps.
    const isLine = IS_LINE_END[byte] === 1;
    const isLate = isLine
      ? this.#lineBreaks.mayBeLate(text, at)
      : this.beforeLateGap.has(wordAt(text, at - 4));
    const isEarly = isLine
      ? this.#lineBreaks.mayBeEarly(text, at, next)
      : this.mayBeAround(pairAt(text, at - 2), text[next] as number, text[next + 1] as number);
    if (!isLate && !isEarly) return false;
    const last = text[at - 1] as number;
    for (let kind = 0; kind < this.#gaps.length; kind++) {
      const table = this.#gaps[kind] as GapKindTable;
      const { isGap, isAround } = table;
      const behind = isLine ? table.behindLine : table.behind;
      if (isGap[byte] === 0 || isAround[last] === 0) continue;
      for (let index = 0; index < behind.length; index++) {
        const count = behind[index] as number;
        if (count < 4 && !isEarly) continue;
        if ((count >= 4 && !isLate) || isAround[text[at - count] as number] === 0) break;
        if (this.#goesOn(text, at, count, 0, 0, next)) return true;
      }
    }
    return false;
  }

  /** Whether an escape that may begin at `at` may be the first escape in a needle. */
  mayHaveEscape(text: Uint8Array, at: number): boolean {
    if (at + MAX_ESCAPE_BYTES >= text.length) return true;
    this.#steps = MAX_STEPS;
    const sign = text[at] as number;
    if (this.#pairs[sign | (sign << 8)] === 0 && isWithinRun(text, at)) return false;
    // An escape that stands for no character (a soft line break or a colour) matters only after a byte of a needle.
    if (mayBeNothing(text, at)) {
      const behind = behindNothing(text, at);
      if (behind < 0 || this.#isInPrefix[text[at - 1] as number] === 0) return behind === UNKNOWN;
      this.escapes++;
      return this.#mayHoldNothing(text, at, behind);
    }
    const code = this.#singles.read(text, at);
    if (code === NO_ESCAPE) return false;
    this.escapes++;
    if (code !== MANY) return this.#mayStandFor(text, at, code, this.#singles.next);
    if (text[at] === BACKSLASH && this.#isPlainRun(text, at)) return false;
    this.work += READ_WORK;
    const reader = this.#readers[0] as EscapeReader;
    reader.read(text, at, false);
    for (let index = 0; index < reader.count; index++) {
      if (this.#mayStandFor(text, at, reader.codes[index] as number, reader.nexts[index] as number))
        return true;
    }
    return false;
  }

  #mayStandFor(text: Uint8Array, at: number, code: number, next: number): boolean {
    if (code === NOTHING) return this.#mayHoldNothing(text, at, next);
    if (code < 0x80) {
      if (this.#isGap[code] === 1 && this.#gapGoesOn(text, at, code, next)) return true;
      return this.#mayHold(text, at, code, 1, next);
    }
    if (code >= EITHER) {
      const byte = code - EITHER;
      return this.#mayHold(text, at, byte, 1, next) || this.#mayHold(text, at, utf8Of(byte), 2, next);
    }
    if (code >= RAW_BYTE) return this.#mayHold(text, at, code - RAW_BYTE, 1, next);
    return this.#mayHold(text, at, utf8Of(code), utf8Length(code), next);
  }

  /**
   * Whether no needle can contain the characters that a run of backslashes and the character after it stand for:
   * backslashes, and that character or its meaning after a backslash. False when a quick check cannot decide this.
   */
  #isPlainRun(text: Uint8Array, at: number): boolean {
    let end = at + 1;
    while (text[end] === BACKSLASH) if (++end > at + MAX_RUN_BYTES) return false;
    const last = text[end] as number;
    if (MAY_BE_LONG[last] === 1) return false;
    const next = text[end + 1] as number;
    if (this.#introduces[last] === 1 && (!isQuote(last) || isQuote(next) || this.#introduces[next] === 1))
      return false;
    const before = wordAt(text, at - 4) >>> 8;
    const behind = BACKSLASH | (last << 8);
    if (this.grams.has(before | (BACKSLASH << 24)) || this.#pairs[behind] === 1) return false;
    if (this.#pairs[BACKSLASH | (BACKSLASH << 8)] === 1) return false;
    const meant = SINGLES[last] as number;
    if (meant === NO_ESCAPE) return true;
    if (this.grams.has(before | (meant << 24)) || this.#pairs[BACKSLASH | (meant << 8)] === 1) return false;
    if (this.#isGap[meant] === 1 && this.#gapGoesOn(text, at, meant, end + 1)) return false;
    return !this.#mayFollow(text, end + 1, meant);
  }

  /** Whether a needle may continue after the text from `at` to `next`, which stands for no character. */
  #mayHoldNothing(text: Uint8Array, at: number, next: number): boolean {
    if (this.areAt(text, at - PREFIX_BYTES)) return true;
    if (!this.#mayFollow(text, next, text[at - 1] as number)) return false;
    for (let ahead = 1; ahead < PREFIX_BYTES; ahead++)
      if (this.#goesOn(text, at, ahead, 0, 0, next)) return true;
    return false;
  }

  /** Whether a needle may contain the lowest `count` bytes of `four`, for which the text from `at` to `next` stands. */
  #mayHold(text: Uint8Array, at: number, four: number, count: number, next: number): boolean {
    // When three or more bytes of the needle stand before `at`, the four bytes up to the first byte of `four` decide.
    // When fewer stand there, the four bytes from the first byte of `four` on decide.
    if (this.grams.has((wordAt(text, at - 4) >>> 8) | (four << 24))) {
      for (let ahead = 3; ahead <= PREFIX_BYTES; ahead++)
        if (this.#goesOn(text, at, ahead, four, count, next)) return true;
    }
    if (count === 1 && !this.#mayFollow(text, next, four)) return false;
    if (!this.#leads(text, next, four, 0, count, false, 1)) return false;
    for (let ahead = 0; ahead < 3; ahead++) if (this.#goesOn(text, at, ahead, four, count, next)) return true;
    return false;
  }

  /**
   * Whether the character that the text at `at` stands for may follow `byte` in a needle. This quick check ends most
   * searches.
   */
  #mayFollow(text: Uint8Array, at: number, byte: number): boolean {
    const written = text[at] as number;
    if (this.#pairs[byte | (written << 8)] === 1) return true;
    const isAround = this.#isAround[byte] === 1;
    if (isAround && (this.#isGap[written] === 1 || written === ZERO)) return true;
    if (this.#introduces[written] === 0) return false;
    const code = this.#singles.read(text, at);
    if (code === NO_ESCAPE) return false;
    if (code === MANY || code === NOTHING || (code < 0x80 && isAround && this.#isGap[code] === 1))
      return true;
    if (code >= EITHER) {
      const either = code - EITHER;
      return (
        this.#pairs[byte | (either << 8)] === 1 || this.#pairs[byte | ((utf8Of(either) & 0xff) << 8)] === 1
      );
    }
    const first = code >= RAW_BYTE ? code - RAW_BYTE : utf8Of(code) & 0xff;
    return this.#pairs[byte | (first << 8)] === 1;
  }

  /**
   * Whether a needle may begin `ahead` bytes before `at`, go on with the lowest `count` bytes of `four`, and then with
   * the text from `next` on.
   */
  #goesOn(text: Uint8Array, at: number, ahead: number, four: number, count: number, next: number): boolean {
    let [first, last] = [0, 0];
    for (let index = 0; index < Math.min(ahead + count, PREFIX_BYTES); index++) {
      const byte =
        index < ahead ? (text[at - ahead + index] as number) : (four >>> (8 * (index - ahead))) & 0xff;
      if (index < 4) first |= byte << (8 * index);
      else last |= byte << (8 * (index - 4));
    }
    return this.#leads(text, next, first, last, ahead + count, true, 1);
  }

  /**
   * Whether a needle may contain the `known` bytes of `first` and `last`, followed by what the text at `from` stands
   * for. With `isWhole` these are the needle's beginning; without, they begin at one of its first three bytes.
   */
  #leads(
    text: Uint8Array,
    from: number,
    first: number,
    last: number,
    known: number,
    isWhole: boolean,
    depth: number,
  ): boolean {
    const wanted = isWhole ? PREFIX_BYTES : 4;
    const isSplit = this.#isSplit;
    let [four, two, at, count] = [first, last, from, known];
    for (; count < wanted; count++) {
      const byte = text[at] as number;
      if (isSplit[byte] !== 0 || (byte === ZERO && text[at + 1] === X)) break;
      if (count < 4) four |= byte << (8 * count);
      else two |= byte << (8 * (count - 4));
      at++;
    }
    if (count >= 2 && this.#pairs[four & 0xffff] === 0) return false;
    if (count >= 4 && !this.grams.has(four)) return false;
    if (count >= wanted) return !isWhole || this.#prefixes.has(four, two);
    if (depth === MAX_DEPTH || at + MAX_ESCAPE_BYTES >= text.length || --this.#steps < 0) return true;
    this.work++;
    const byte = text[at] as number;
    if (this.#pushed(text, at + 1, four, two, count, byte, 1, isWhole, depth + 1)) return true;
    if (byte === ZERO) return this.#leads(text, at + 2, four, two, count, isWhole, depth + 1);
    if (this.#isGap[byte] === 1 && this.#isAroundAt(four, two, count)) {
      const next = behindGaps(this.#isGap, text, at);
      if (next < 0 || this.#leads(text, next, four, two, count, isWhole, depth + 1)) return true;
    }
    if (this.#introduces[byte] === 0) return false;
    if (mayBeNothing(text, at)) {
      const behind = behindNothing(text, at);
      return behind >= 0 && this.#leads(text, behind, four, two, count, isWhole, depth + 1);
    }
    const code = this.#singles.read(text, at);
    if (code === NO_ESCAPE) return false;
    if (code !== MANY)
      return this.#read(text, this.#singles.next, four, two, count, code, isWhole, depth + 1);
    const reader = this.#readers[depth] as EscapeReader;
    reader.read(text, at, false);
    for (let index = 0; index < reader.count; index++) {
      const next = reader.nexts[index] as number;
      if (this.#read(text, next, four, two, count, reader.codes[index] as number, isWhole, depth + 1))
        return true;
    }
    return false;
  }

  /** Like `#leads`, when the next character of the text is `code`. */
  #read(
    text: Uint8Array,
    at: number,
    first: number,
    last: number,
    count: number,
    code: number,
    isWhole: boolean,
    depth: number,
  ): boolean {
    if (code === NOTHING) return this.#leads(text, at, first, last, count, isWhole, depth);
    if (code >= EITHER) {
      const byte = code - EITHER;
      return (
        this.#pushed(text, at, first, last, count, byte, 1, isWhole, depth) ||
        this.#pushed(text, at, first, last, count, utf8Of(byte), 2, isWhole, depth)
      );
    }
    if (code >= RAW_BYTE)
      return this.#pushed(text, at, first, last, count, code - RAW_BYTE, 1, isWhole, depth);
    if (code < 0x80) {
      const isGap = this.#isGap[code] === 1 && this.#isAroundAt(first, last, count);
      if (isGap && this.#leads(text, at, first, last, count, isWhole, depth)) return true;
      return this.#pushed(text, at, first, last, count, code, 1, isWhole, depth);
    }
    return this.#pushed(text, at, first, last, count, utf8Of(code), utf8Length(code), isWhole, depth);
  }

  /** Like `#leads`, when the next bytes of the text are the lowest `more` bytes of `four`. */
  #pushed(
    text: Uint8Array,
    at: number,
    first: number,
    last: number,
    count: number,
    four: number,
    more: number,
    isWhole: boolean,
    depth: number,
  ): boolean {
    if (count === 1 && this.#pairs[first | ((four & 0xff) << 8)] === 0) return false;
    let [nextFirst, nextLast] = [first, last];
    for (let index = 0; index < more && count + index < PREFIX_BYTES; index++) {
      const byte = (four >>> (8 * index)) & 0xff;
      if (count + index < 4) nextFirst |= byte << (8 * (count + index));
      else nextLast |= byte << (8 * (count + index - 4));
    }
    return this.#leads(text, at, nextFirst, nextLast, count + more, isWhole, depth);
  }

  /**
   * Whether the last of the `count` known bytes belongs to a needle that allows gaps (separators) between its bytes.
   */
  #isAroundAt(first: number, last: number, count: number): boolean {
    const byte = count > 4 ? last >>> (8 * (count - 5)) : first >>> (8 * (count - 1));
    return count > 0 && this.#isAround[byte & 0xff] === 1;
  }
}

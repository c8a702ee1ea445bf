import { Beginnings } from "./beginnings.ts";
import { PREFIX_BYTES } from "./gap-tables.ts";
import { type Gaps, IS_LINE_END, type Stops } from "./gaps.ts";
import { GRAM_FACTOR, GramSet, wordAt } from "./gram-set.ts";
import { ShortPatterns } from "./short-patterns.ts";
import { SingleEscapes } from "./single-escape.ts";

type Pattern = { readonly bytes: Uint8Array; readonly gaps: Gaps };

/**
 * Bytes at each end of a text that the filter leaves to the automaton, because the filter reads bytes before
 * and after its position.
 */
export const FILTER_MARGIN_BYTES = 16;

/** Bytes of a word. The filter reads a text in words, so that each byte belongs to one word. */
const WORD_BYTES = 4;

/** The number of escapes that are read before the filter decides whether the text is full of escapes. */
const LOOKED_ESCAPES = 16;
/**
 * Bytes between escapes, on average, below which a text is full of escapes. The automaton is faster in such
 * text, because it reads each escape once.
 */
const DENSE_BYTES = 18;

/**
 * The cost of one search (`Beginnings.work`) above which the automaton takes over, because it is as fast by
 * then.
 */
const MAX_WORK = 100;

/** Bytes of the shortest text that is filtered; a shorter one is left to the automaton. */
const MIN_BYTES = 64;
const NO_WORDS = new Int32Array();

/**
 * Flags of a pair of bytes: it may begin an escape (ESCAPE), it is a needle's byte with a separator after it
 * (LINE if the separator is a line end, otherwise GAP), or it belongs to a short pattern (SHORT).
 */
const [ESCAPE, GAP, SHORT, LINE] = [1, 2, 4, 16];
/** Flag of four bytes: they are a piece of a needle's beginning. */
const GRAM = 8;

/**
 * Skips text in which no pattern begins, which is most text. Looking up one word of four bytes in tables that
 * fit into a core's cache is faster than following each byte through a large automaton.
 */
export class PrefixFilter {
  readonly #beginnings: Beginnings;
  readonly #shorts: ShortPatterns;
  /**
   * All sequences of three bytes in the patterns that have only six bytes, because such a pattern may lie in
   * a text so that it contains no whole word of four bytes.
   */
  readonly #triples: GramSet;
  readonly #hasTriples: boolean;
  /**
   * Whether the last search ended because the text is full of escapes, so that the scanner should do without
   * the filter for a while.
   */
  isDense = false;
  /**
   * For each byte, the flags ESCAPE and GAP: whether it may begin an escape, or be a separator between the
   * characters of a needle.
   */
  readonly #kinds = new Uint8Array(256);
  /** For each pair of bytes, the flags ESCAPE, GAP, LINE and SHORT. */
  readonly #pairs = new Uint8Array(0x1_0000);

  /**
   * Makes a filter. Undefined when a pattern is too short to be looked up, or when there are no patterns.
   * `triggers` (prefixes of credentials) are searched for only as they are written, without escapes and gaps.
   */
  static of(
    needles: readonly Pattern[],
    triggers: readonly Uint8Array[],
    automaton: Stops,
  ): PrefixFilter | undefined {
    const isTooShort =
      needles.some(({ bytes }) => bytes.length < PREFIX_BYTES) ||
      triggers.some((bytes) => !ShortPatterns.canFind(bytes));
    return isTooShort || needles.length + triggers.length === 0
      ? undefined
      : new PrefixFilter(needles, triggers, automaton);
  }

  private constructor(needles: readonly Pattern[], triggers: readonly Uint8Array[], automaton: Stops) {
    const isLong = (bytes: Uint8Array) => bytes.length > PREFIX_BYTES;
    this.#shorts = new ShortPatterns(triggers.filter((bytes) => !isLong(bytes)));
    this.#beginnings = new Beginnings(needles, triggers.filter(isLong), automaton);
    const six = needles.filter(({ bytes }) => !isLong(bytes));
    this.#hasTriples = six.length > 0;
    this.#triples = new GramSet(six.length * 4);
    for (const { bytes } of six)
      for (let at = 0; at < 4; at++) this.#triples.add(wordAt(bytes, at) & 0xff_ffff);
    for (let byte = 0; byte < 256; byte++) {
      const isGap = automaton.gaps.some((gap) => gap.isGap[byte] === 1);
      this.#kinds[byte] = (automaton.introduces[byte] === 1 ? ESCAPE : 0) | (isGap ? GAP : 0);
    }
    for (let pair = 0; pair < this.#pairs.length; pair++) {
      const [first, second] = [pair & 0xff, pair >>> 8];
      this.#pairs[pair] =
        (SingleEscapes.mayBegin(automaton.introduces, first, second) ? ESCAPE : 0) |
        (this.#beginnings.mayPrecedeGap(first, second) ? (IS_LINE_END[second] === 1 ? LINE : GAP) : 0) |
        (this.#shorts.hasPair(pair) ? SHORT : 0);
    }
  }

  /**
   * The bytes of a text as words of four bytes, for `next`, without a copy. Empty for a text of fewer than
   * MIN_BYTES, which is not filtered.
   */
  static wordsOf(text: Uint8Array): Int32Array {
    if (text.length < MIN_BYTES) return NO_WORDS;
    const start = -text.byteOffset & (WORD_BYTES - 1);
    return new Int32Array(text.buffer, text.byteOffset + start, (text.length - start) >>> 2);
  }

  /**
   * The offset of the first byte, from `from` on, at which the automaton is needed again: there the first six
   * bytes of a pattern, or a short pattern, are complete, or an escape or a gap gives the text more than one
   * reading. The offset is between the margins of the text.
   */
  next(text: Uint8Array, words: Int32Array, from: number): number {
    const start = -text.byteOffset & (WORD_BYTES - 1);
    const count = (text.length - FILTER_MARGIN_BYTES - start) >> 2;
    const { bits, shift } = this.#beginnings.grams;
    const { bits: tripleBits, shift: tripleShift } = this.#triples;
    const hasTriples = this.#hasTriples;
    const pairs = this.#pairs;
    const beginnings = this.#beginnings;
    const { bits: lateBits, shift: lateShift } = beginnings.beforeLateGap;
    const mayPrecede = (four: number, after: number) => {
      const bit = Math.imul(four, GRAM_FACTOR) >>> lateShift;
      if ((((lateBits[bit >>> 5] as number) >>> (bit & 31)) & 1) === 1) return true;
      return beginnings.mayBeAround(four >>> 16, after & 0xff, (after >>> 8) & 0xff);
    };
    beginnings.work = 0;
    this.isDense = false;
    beginnings.escapes = 0;
    let index = (from - PREFIX_BYTES + 1 - start) >> 2;
    let countedFrom = index;
    let before = 0;
    let word = words[index - 1] as number;
    let behind = words[index] as number;
    for (; index < count; index++) {
      before = word;
      word = behind;
      behind = words[index + 1] as number;
      const bit = Math.imul(word, GRAM_FACTOR) >>> shift;
      const first = pairs[word & 0xffff] as number;
      const second = pairs[(word >>> 8) & 0xffff] as number;
      const third = pairs[word >>> 16] as number;
      const fourth = pairs[(word >>> 24) | ((behind & 0xff) << 8)] as number;
      let found = first | second | third | fourth | ((((bits[bit >>> 5] as number) >>> (bit & 31)) & 1) << 3);
      if (hasTriples) {
        const triple = Math.imul(word & 0xff_ffff, GRAM_FACTOR) >>> tripleShift;
        found |= (((tripleBits[triple >>> 5] as number) >>> (triple & 31)) & 1) << 3;
      }
      if (found === 0) continue;
      if (found === GAP) {
        // The bytes before the gap are looked up here, because most bytes that may be a gap (a separator between
        // the characters of a needle) follow bytes with which no needle begins.
        const may =
          (first !== 0 && mayPrecede((before >>> 8) | (word << 24), word >>> 16)) ||
          (second !== 0 && mayPrecede((before >>> 16) | (word << 16), (word >>> 24) | (behind << 8))) ||
          (third !== 0 && mayPrecede((before >>> 24) | (word << 8), behind)) ||
          (fourth !== 0 && mayPrecede(word, behind >>> 8));
        if (!may) continue;
      } else if (found === ESCAPE) {
        const at = start + index * WORD_BYTES;
        const may =
          (first !== 0 && beginnings.mayHaveEscape(text, at)) ||
          (second !== 0 && beginnings.mayHaveEscape(text, at + 1)) ||
          (third !== 0 && beginnings.mayHaveEscape(text, at + 2)) ||
          (fourth !== 0 && beginnings.mayHaveEscape(text, at + 3));
        if (beginnings.escapes >= LOOKED_ESCAPES) {
          this.isDense = (index - countedFrom) * WORD_BYTES < LOOKED_ESCAPES * DENSE_BYTES;
          beginnings.escapes = 0;
          countedFrom = index;
        }
        if (!may && !this.isDense && beginnings.work <= MAX_WORK) continue;
      }
      const place = this.#placeIn(text, start + index * WORD_BYTES, from, found);
      if (place !== -1) return place;
      if (this.isDense || beginnings.work > MAX_WORK) return Math.max(from, start + index * WORD_BYTES);
    }
    return Math.max(from, start + count * WORD_BYTES);
  }

  /** The offset that `next` returns, if it is in the word at `at` or right after it; -1 otherwise. */
  #placeIn(text: Uint8Array, at: number, from: number, found: number): number {
    let place = (found & (ESCAPE | GAP | LINE)) === 0 ? -1 : this.#splitIn(text, at, from);
    if ((found & SHORT) !== 0) {
      for (let pair = at; pair < at + WORD_BYTES; pair++) {
        const end = this.#shorts.endNear(text, pair, from);
        if (end !== -1 && (place === -1 || end < place)) place = end;
      }
    }
    if ((found & GRAM) !== 0) {
      for (let start = at - 3; start <= at; start++) {
        const end = start + PREFIX_BYTES - 1;
        if (end < from || !this.#beginnings.areAt(text, start)) continue;
        if (place === -1 || end < place) place = end;
        break;
      }
    }
    // `place` may be behind this word of 4 bytes. The bytes between the word and `place` have not been
    // checked yet, because they belong to later words. If one of them may begin an escape or be a separator,
    // its offset is returned instead of `place`, because it comes first.
    for (let between = Math.max(from, at + WORD_BYTES); between < place; between++) {
      if (this.#kinds[text[between] as number] !== 0) return between;
    }
    return place;
  }

  /**
   * The offset of an escape or a gap (a separator between characters), in the word at `at` or right after it,
   * that may be the first in a needle; -1 when there is none.
   */
  #splitIn(text: Uint8Array, at: number, from: number): number {
    for (let place = at; place < at + WORD_BYTES; place++) {
      const found = this.#pairs[(text[place] as number) | ((text[place + 1] as number) << 8)] as number;
      if (found === 0) continue;
      if ((found & ESCAPE) !== 0 && place >= from && this.#beginnings.mayHaveEscape(text, place))
        return place;
      const next = place + 1;
      if (
        (found & (GAP | LINE)) !== 0 &&
        next >= from &&
        this.#beginnings.mayHaveGap(text, next, text[next] as number, next + 1)
      )
        return next;
    }
    return -1;
  }
}

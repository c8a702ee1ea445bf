import type { Automaton, AutomatonGaps, Gaps } from "./automaton.ts";

/** So many bytes of a pattern are looked up before the automaton is asked. */
export const PREFIX_BYTES = 4;

/** So many are looked up where the first are found, as far as nothing may stand between them. */
const LONG_PREFIX_BYTES = 6;

/**
 * A set has so many places for each prefix, and no fewer than 2^16. It takes 128 KiB for a hundred secrets: far less than the
 * automaton's rows, which do not fit into a core's cache.
 */
const PLACES_PER_PREFIX = 16;
const MIN_PLACES_BITS = 16;
const MAX_PLACES_BITS = 22;
/** Spreads the bits of a prefix; an odd constant near 2^32 divided by the golden ratio. */
const MULTIPLIER = 0x9e3779b1 | 0;

type Prefixed = { readonly bytes: Uint8Array; readonly gaps: Gaps };

/** What the filter needs of an automaton. */
type Searched = Pick<Automaton, "introduces" | "gaps">;

const ZERO = 0x30;

const PLAIN = 0;
const STOPS = 1;
const MAY_BE_GAP = 2;

/**
 * Passes over text in which no pattern begins. Most text is of this kind, and looking up four bytes in a small table is
 * faster than following them through a large one.
 */
export class PrefixFilter {
  readonly #prefixes: PrefixSet;
  /** Of the prefixes those that may go on with any byte. */
  readonly #open: PrefixSet;
  readonly #long: PrefixSet;
  readonly #kinds = new Uint8Array(256);
  /** Whether gaps may stand elsewhere than behind two digits. */
  readonly #isAnyGap: boolean;
  /** By the last two bytes: whether a gap may follow them. */
  readonly #beforeGap = new Uint8Array(0x1_0000);

  /** Undefined when a pattern is too short to be looked up. */
  static of(patterns: readonly Prefixed[], automaton: Searched): PrefixFilter | undefined {
    const isTooShort = patterns.some(({ bytes }) => bytes.length < PREFIX_BYTES - 1);
    return patterns.length === 0 || isTooShort ? undefined : new PrefixFilter(patterns, automaton);
  }

  private constructor(patterns: readonly Prefixed[], automaton: Searched) {
    const { introduces, gaps } = automaton;
    this.#prefixes = new PrefixSet(patterns.length);
    this.#open = new PrefixSet(patterns.length);
    this.#long = new PrefixSet(patterns.length);
    for (const { bytes, gaps: kind } of patterns) {
      // What follows the end of a short pattern may be anything.
      const firsts =
        bytes.length >= PREFIX_BYTES
          ? [prefixAt(bytes, PREFIX_BYTES - 1, 0)]
          : Array.from({ length: 256 }, (_, byte) => (prefixAt(bytes, bytes.length - 1, 0) << 8) | byte);
      const isOpen = bytes.length < LONG_PREFIX_BYTES || kind !== "none";
      for (const prefix of firsts) {
        this.#prefixes.add(prefix);
        if (isOpen) this.#open.add(prefix);
        else this.#long.add(longPrefix(prefix, bytes, PREFIX_BYTES));
      }
    }
    // Where more bytes must have come before a gap, the automaton is at work already.
    const early = gaps.filter(({ minDepth }) => minDepth < PREFIX_BYTES);
    this.#isAnyGap = early.some(({ kind }) => kind !== "hex");
    for (let byte = 0; byte < 256; byte++) {
      const isGap = early.some((gap) => gap.isGap[byte] === 1);
      this.#kinds[byte] = introduces[byte] === 1 ? STOPS : isGap ? MAY_BE_GAP : PLAIN;
    }
    for (const { bytes, gaps: kind } of patterns) {
      const gap = early.find((each) => each.kind === kind);
      if (gap) this.#addGaps(bytes, gap);
    }
  }

  /** A gap behind four bytes and more is met by the automaton itself, which these bytes have called. */
  #addGaps(bytes: Uint8Array, { minDepth, every }: AutomatonGaps): void {
    for (let depth = minDepth; depth < PREFIX_BYTES && depth < bytes.length; depth += every) {
      const last = bytes[depth - 1] as number;
      if (depth > 1) this.#beforeGap[((bytes[depth - 2] as number) << 8) | last] = 1;
      else for (let first = 0; first < 256; first++) this.#beforeGap[(first << 8) | last] = 1;
    }
  }

  /**
   * The place of the first byte, from `at` on, with which a prefix is complete or that may be read in more than one way;
   * the length of `text` when there is none. `at` is at least `PREFIX_BYTES - 1`.
   */
  next(text: Uint8Array, at: number): number {
    const { places, shift } = this.#prefixes;
    const kinds = this.#kinds;
    const length = text.length;
    let prefix = prefixAt(text, at - 1, at - (PREFIX_BYTES - 1));
    for (let next = at; next < length; next++) {
      const byte = text[next] as number;
      prefix = (prefix << 8) | byte;
      const kind = kinds[byte] as number;
      const isPrefix = places[Math.imul(prefix, MULTIPLIER) >>> shift] as number;
      if ((kind | isPrefix) === 0) continue;
      if (kind === STOPS || (isPrefix === 1 && this.#mayGoOn(text, next, prefix))) return next;
      if (kind === MAY_BE_GAP && this.#mayBeGap(text, next, (prefix >>> 8) & 0xffff)) return next;
    }
    return length;
  }

  /** Whether the byte at `at`, behind these two bytes, may be a gap in a pattern. */
  #mayBeGap(text: Uint8Array, at: number, before: number): boolean {
    if (this.#beforeGap[before] === 0) return false;
    const [first, second] = [text[at + 1], text[at + 2]];
    if (this.#isAnyGap || first === undefined || second === undefined) return true;
    // More gaps may follow, and `0x` before the next digits.
    if (first === ZERO || this.#kinds[first] !== PLAIN || this.#kinds[second] !== PLAIN) return true;
    return this.#open.has((before << 16) | (first << 8) | second);
  }

  /** Whether a prefix that is complete at `at` may go on as a pattern does. */
  #mayGoOn(text: Uint8Array, at: number, prefix: number): boolean {
    if (at + 2 >= text.length || this.#open.has(prefix)) return true;
    const [first, second] = [text[at + 1] as number, text[at + 2] as number];
    if (this.#kinds[first] !== PLAIN || this.#kinds[second] !== PLAIN) return true;
    return this.#long.has(longPrefix(prefix, text, at + 1));
  }
}

/** A set of numbers that may hold a few more than were added. */
class PrefixSet {
  readonly places: Uint8Array;
  /** A number's place is what is left of its product after this shift. */
  readonly shift: number;

  constructor(count: number) {
    const bits = Math.ceil(Math.log2(Math.max(1, count * PLACES_PER_PREFIX)));
    const sized = Math.min(MAX_PLACES_BITS, Math.max(MIN_PLACES_BITS, bits));
    this.shift = 32 - sized;
    this.places = new Uint8Array(2 ** sized);
  }

  add(prefix: number): void {
    this.places[Math.imul(prefix, MULTIPLIER) >>> this.shift] = 1;
  }

  has(prefix: number): boolean {
    return this.places[Math.imul(prefix, MULTIPLIER) >>> this.shift] === 1;
  }
}

/** A prefix and the two bytes behind it, which stand at `at`. */
function longPrefix(prefix: number, bytes: Uint8Array, at: number): number {
  return Math.imul(prefix, 0x01000193) ^ (((bytes[at] as number) << 8) | (bytes[at + 1] as number));
}

/** The bytes from `from` to `last`, at most four, as one number. */
function prefixAt(bytes: Uint8Array, last: number, from: number): number {
  let prefix = 0;
  for (let at = from; at <= last; at++) prefix = (prefix << 8) | (bytes[at] as number);
  return prefix;
}

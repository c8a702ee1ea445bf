/**
 * Factors that spread the bits of a number: odd constants near 2^32 divided by the golden ratio, and by the
 * square root of 3.
 */
const [FIRST, SECOND] = [0x9e3779b1 | 0, 0x93c467e3 | 0];

/**
 * Bits of a GramSet's table for each member. Each member sets one bit, so one in sixteen of all other numbers
 * is taken for a member by mistake.
 */
const BITS_PER_GRAM = 16;
/**
 * Bits of a PrefixSet's table for each member. Each member sets two bits, so about one in three hundred of
 * all other prefixes is taken for a member by mistake.
 */
const BITS_PER_PREFIX = 32;
/**
 * The smallest and the largest table, as powers of two in bits: 8 KiB, which fits into the first cache of a
 * core beside much else, and 2 MiB.
 */
const [MIN_SIZE, MAX_SIZE] = [16, 24];

/**
 * A set of 32-bit numbers, such as four bytes of a text. It never misses a member, but may report a few
 * numbers as members that were never added.
 */
export class GramSet {
  /** The table: one bit for many numbers, set when one of these is a member. */
  readonly bits: Int32Array;
  /**
   * The index of a number's bit in the table is the number's product with `GRAM_FACTOR`, shifted right by
   * this many bits.
   */
  readonly shift: number;

  constructor(count: number) {
    const size = sizeOf(count * BITS_PER_GRAM);
    this.shift = 32 - size;
    this.bits = new Int32Array(2 ** (size - 5));
  }

  add(gram: number): void {
    const bit = Math.imul(gram, FIRST) >>> this.shift;
    this.bits[bit >>> 5] = (this.bits[bit >>> 5] as number) | (1 << (bit & 31));
  }

  has(gram: number): boolean {
    const bit = Math.imul(gram, FIRST) >>> this.shift;
    return (((this.bits[bit >>> 5] as number) >>> (bit & 31)) & 1) === 1;
  }
}

/**
 * The factor for loops that read `bits` themselves, as PrefixFilter does, because a call of `has` for each
 * word would cost more than the lookup.
 */
export const GRAM_FACTOR = FIRST;

/**
 * A set of six-byte prefixes that may report a few as members that were never added. A prefix is given as its
 * first four bytes in one number, and the two bytes after them in another.
 */
export class PrefixSet {
  readonly #bits: Int32Array;
  readonly #shift: number;

  constructor(count: number) {
    const size = sizeOf(count * BITS_PER_PREFIX);
    this.#shift = 32 - size;
    this.#bits = new Int32Array(2 ** (size - 5));
  }

  add(four: number, two: number): void {
    const mixed = mix(four, two);
    for (const factor of [FIRST, SECOND]) {
      const bit = Math.imul(mixed, factor) >>> this.#shift;
      this.#bits[bit >>> 5] = (this.#bits[bit >>> 5] as number) | (1 << (bit & 31));
    }
  }

  has(four: number, two: number): boolean {
    const bits = this.#bits;
    const mixed = mix(four, two);
    const first = Math.imul(mixed, FIRST) >>> this.#shift;
    if ((((bits[first >>> 5] as number) >>> (first & 31)) & 1) === 0) return false;
    const second = Math.imul(mixed, SECOND) >>> this.#shift;
    return (((bits[second >>> 5] as number) >>> (second & 31)) & 1) === 1;
  }
}

function mix(four: number, two: number): number {
  const mixed = Math.imul(four, SECOND) ^ Math.imul(two, FIRST);
  return mixed ^ (mixed >>> 15);
}

function sizeOf(bits: number): number {
  return Math.min(MAX_SIZE, Math.max(MIN_SIZE, Math.ceil(Math.log2(Math.max(1, bits)))));
}

/** The four bytes from `at` on as one number, the first byte lowest. */
export function wordAt(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}

/** The two bytes from `at` on as one number, the first byte lowest. */
export function pairAt(bytes: Uint8Array, at: number): number {
  return (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
}

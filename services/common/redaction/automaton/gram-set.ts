/** Spreads the bits of a number; odd constants near 2^32 divided by the golden ratio, and by the square root of 3. */
const [FIRST, SECOND] = [0x9e3779b1 | 0, 0x93c467e3 | 0];

/** Bits for each member: of other numbers one in sixteen is taken for a member, or with two bits each one in three hundred. */
const BITS_PER_GRAM = 16;
const BITS_PER_PREFIX = 32;
/** From 8 KiB, which the first cache of a core holds beside much else, to 2 MiB. */
const [MIN_SIZE, MAX_SIZE] = [16, 24];

/** A set of 32-bit numbers that may hold a few more than were added. */
export class GramSet {
  readonly bits: Int32Array;
  /** A number's bit is what is left of its product with `GRAM_FACTOR` after this shift. */
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

/** For loops that look into `bits` by themselves, because a call for each word would cost more than the look. */
export const GRAM_FACTOR = FIRST;

/** The same for beginnings of six bytes: the first four as one number, and the two behind them. */
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

/** The four bytes from `at` on as one number, the first lowest. */
export function wordAt(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}

export function pairAt(bytes: Uint8Array, at: number): number {
  return (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
}

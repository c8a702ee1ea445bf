import { pairAt } from "./gram-set.ts";

const SHORTEST = 2;

type Place = { readonly bytes: Uint8Array; readonly offset: number };

/**
 * Finds patterns that are too short to be found by their first six bytes, such as `://`. Each pattern is
 * found by the one pair of its bytes that is rarest in ordinary text.
 */
export class ShortPatterns {
  /**
   * For each pair of bytes, as one number, the patterns that are found by this pair, and the offset of the
   * pair in each pattern.
   */
  readonly #places = new Map<number, Place[]>();

  constructor(patterns: readonly Uint8Array[]) {
    for (const bytes of patterns) {
      const offset = rarestPair(bytes);
      const pair = pairAt(bytes, offset);
      this.#places.set(pair, [...(this.#places.get(pair) ?? []), { bytes, offset }]);
    }
  }

  static canFind(bytes: Uint8Array): boolean {
    return bytes.length >= SHORTEST;
  }

  hasPair(pair: number): boolean {
    return this.#places.has(pair);
  }

  /**
   * Looks for the patterns that are found by the pair of bytes at offset `at` of `text`. Returns the first
   * offset, not before `from`, at which such a pattern has its last byte; -1 when no pattern stands there.
   */
  endNear(text: Uint8Array, at: number, from: number): number {
    let first = -1;
    for (const { bytes, offset } of this.#places.get(pairAt(text, at)) ?? []) {
      const end = at - offset + bytes.length - 1;
      if (end < from || (first !== -1 && end >= first) || !standsAt(text, at - offset, bytes)) continue;
      first = end;
    }
    return first;
  }
}

/** The offset of the two bytes of a pattern that are rarest in ordinary text. */
function rarestPair(bytes: Uint8Array): number {
  let best = 0;
  let rarest = -1;
  for (let at = 0; at + 1 < bytes.length; at++) {
    const rarity = rarityOf(bytes[at] as number) + rarityOf(bytes[at + 1] as number);
    if (rarity > rarest) [best, rarest] = [at, rarity];
  }
  return best;
}

const LETTERS = Buffer.from("etaoinsrhldcumfpgwybvkxjqz");

/**
 * A rank that is higher for rarer bytes. LETTERS has the order of frequency in English text; punctuation,
 * digits and capital letters rank above all of them.
 */
function rarityOf(byte: number): number {
  const rank = LETTERS.indexOf(byte);
  return rank === -1 ? LETTERS.length : rank;
}

function standsAt(text: Uint8Array, start: number, bytes: Uint8Array): boolean {
  for (let index = 0; index < bytes.length; index++) if (text[start + index] !== bytes[index]) return false;
  return true;
}

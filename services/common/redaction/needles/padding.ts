/**
 * The number of consecutive characters of a long secret that are always redacted. Fewer may remain in a
 * table's cell, a wrapped line, or a truncated text.
 */
export const MIN_PIECE_CHARACTERS = 13;

/**
 * The entropy in bits per character below which a piece (MIN_PIECE_CHARACTERS consecutive characters) is
 * padding. Random digits have 2.6; ten zeros and three other characters have 1.4.
 */
const MIN_PIECE_ENTROPY = 1.7;

/**
 * The number of characters in a piece that each follow the character before, as in `456789`, from which the
 * piece is padding.
 */
const MAX_COUNTED = 10;

/**
 * The number of different characters in a piece from which the piece surely has enough entropy to be no
 * padding.
 */
const SURE_CHARACTERS = 7;

/**
 * The parts of a run of characters between its padding. Padding such as `0000…`, `AAAA…`, `0101…` and `0123…`
 * is common in texts and numbers that are no secret. No part contains a piece of padding, and every other
 * piece is inside a part.
 */
export function withoutPadding(run: string): string[] {
  const parts: string[] = [];
  let from = -1;
  const pieces = new Pieces(run);
  for (let at = 0; at + MIN_PIECE_CHARACTERS <= run.length; at++) {
    const isPadding = pieces.isPaddingAt(at);
    if (!isPadding && from < 0) from = at;
    if (!isPadding || from < 0) continue;
    parts.push(run.slice(from, at - 1 + MIN_PIECE_CHARACTERS));
    from = -1;
  }
  if (from >= 0) parts.push(run.slice(from));
  return parts;
}

/**
 * The pieces of a run of characters, one after the other. The counts of a piece are derived from those of the
 * piece before it, so that all pieces together take linear time.
 */
class Pieces {
  readonly #run: string;
  readonly #counts = new Map<string, number>();
  #counted = 0;
  #end = 0;

  constructor(run: string) {
    this.#run = run;
  }

  /** Whether the piece at `at` is padding. Must be called with 0, 1, 2 and so on. */
  isPaddingAt(at: number): boolean {
    for (; this.#end < at + MIN_PIECE_CHARACTERS; this.#end++) {
      this.#count(this.#end, 1);
      if (this.#end > 0 && follows(this.#run, this.#end)) this.#counted++;
    }
    if (at > 0) {
      this.#count(at - 1, -1);
      if (follows(this.#run, at)) this.#counted--;
    }
    if (this.#counted >= MAX_COUNTED) return true;
    if (this.#counts.size >= SURE_CHARACTERS) return false;
    return entropyOf(this.#run.slice(at, at + MIN_PIECE_CHARACTERS)) < MIN_PIECE_ENTROPY;
  }

  #count(at: number, more: number): void {
    const character = this.#run[at] as string;
    const count = (this.#counts.get(character) ?? 0) + more;
    if (count === 0) this.#counts.delete(character);
    else this.#counts.set(character, count);
  }
}

/** The entropy of a text in bits per character, by the characters' frequencies. */
export function entropyOf(text: string): number {
  const counts = new Map<string, number>();
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / text.length) * Math.log2(count / text.length);
  return bits;
}

/**
 * Whether the character at `at` follows the character before it in the order of digits and letters; `9` is
 * followed by `0`, `a` or `A`, and `f` by `0`.
 */
function follows(run: string, at: number): boolean {
  if (run.charCodeAt(at) === run.charCodeAt(at - 1) + 1) return true;
  return /^(?:9[0aA]|[fF]0)$/.test(run.slice(at - 1, at + 1));
}

import type { Prefixed } from "./gap-tables.ts";
import { breaksLines } from "./gaps.ts";
import { GramSet, pairAt, wordAt } from "./gram-set.ts";

/**
 * The most gaps (separators between the characters of a needle) in a row that are skipped; after more the
 * automaton decides.
 */
const MAX_GAP_BYTES = 32;

/**
 * The offset after a run of gaps (separators) that begins at `at`; -1 when the run is longer than
 * MAX_GAP_BYTES.
 */
export function behindGaps(isGap: Uint8Array, text: Uint8Array, at: number): number {
  let next = at + 1;
  while (isGap[text[next] as number] === 1) if (++next > at + MAX_GAP_BYTES) return -1;
  return next;
}

const [ZERO, X] = [0x30, 0x78];

/**
 * Quick checks whether a line end may be the first gap within the first six bytes of a needle, by the bytes
 * around it. A wrong yes is rare.
 */
export class LineBreaks {
  readonly #isGap: Uint8Array;
  readonly #introduces: Uint8Array;
  /** The sets of four bytes before a line end that stands after four to six bytes of a needle. */
  readonly #before: GramSet;
  /** For each pair of bytes, 1 if a line end may stand between them, after one to three bytes of a needle. */
  readonly #pairs = new Uint8Array(0x1_0000);
  /**
   * The sets of three bytes around a line end that stands after a needle's first byte: that byte, and the two
   * bytes after the line end.
   */
  readonly #aroundFirst: GramSet;
  /** The sets of four bytes around a line end that stands after two or three bytes of a needle. */
  readonly #around: GramSet;

  /** `isGap`: for each byte, 1 if it may be a gap. `introduces`: for each byte, 1 if it may begin an escape. */
  constructor(all: readonly Prefixed[], isGap: Uint8Array, introduces: Uint8Array) {
    this.#isGap = isGap;
    this.#introduces = introduces;
    const needles = all.filter(({ gaps }) => breaksLines(gaps));
    this.#before = new GramSet(needles.length * 3);
    this.#aroundFirst = new GramSet(needles.length);
    this.#around = new GramSet(needles.length * 2);
    for (const { bytes } of needles) {
      for (const count of [4, 5, 6]) this.#before.add(wordAt(bytes, count - 4));
      for (const count of [1, 2, 3]) this.#pairs[pairAt(bytes, count - 1)] = 1;
      this.#aroundFirst.add(wordAt(bytes, 0) & 0xff_ffff);
      for (const count of [2, 3]) this.#around.add(wordAt(bytes, count - 2));
    }
  }

  /** Whether a line end at `at` may stand after four to six bytes of a needle. */
  mayBeLate(text: Uint8Array, at: number): boolean {
    return this.#before.has(wordAt(text, at - 4));
  }

  /** Whether a line end from `at` to `next` may stand after one to three bytes of a needle. */
  mayBeEarly(text: Uint8Array, at: number, next: number): boolean {
    const behind = this.#isGap[text[next] as number] === 1 ? behindGaps(this.#isGap, text, next) : next;
    if (behind < 0 || behind + 1 >= text.length) return true;
    const last = text[at - 1] as number;
    const [first, second] = [text[behind] as number, text[behind + 1] as number];
    if (this.#introduces[first] === 1 || (first === ZERO && second === X)) return true;
    if (this.#pairs[last | (first << 8)] === 0) return false;
    if (this.#isGap[second] === 1 || this.#introduces[second] === 1 || second === ZERO) return true;
    const after = first | (second << 8);
    return (
      this.#aroundFirst.has(last | (after << 8)) || this.#around.has(pairAt(text, at - 2) | (after << 16))
    );
  }
}

import { type AutomatonGaps, breaksLines, type Gaps } from "./gaps.ts";
import { GramSet, pairAt, wordAt } from "./gram-set.ts";

/**
 * A needle whose first bytes are looked up: its bytes, and the kind of gaps (separators) that may stand
 * between them.
 */
export type Prefixed = { readonly bytes: Uint8Array; readonly gaps: Gaps };

/** The number of bytes at a needle's beginning that are looked up before the automaton is used. */
export const PREFIX_BYTES = 6;

/**
 * For each kind of gap (separators between the characters of a needle), the numbers of a needle's bytes after
 * which its first gap may stand, in ascending order.
 */
const BEFORE_GAP = { base64: [4, 5, 6], hex: [2, 4, 6], number: [1, 2, 3, 4, 5, 6] } as const;
/** The same for a gap that is a line end. */
const BEFORE_LINE: readonly number[] = [1, 2, 3, 4, 5, 6];

/**
 * The facts about one kind of gap (separators between the characters of a needle) within the first six bytes
 * of needles.
 */
export type GapKindTable = {
  readonly isGap: Uint8Array;
  /** For each byte, 1 if it is among the first six bytes of a needle with this kind of gap (separator). */
  readonly isAround: Uint8Array;
  /** The numbers of a needle's bytes after which its first gap may stand, in ascending order. */
  readonly behind: readonly number[];
  /** The same for a gap that is a line end; empty when no gap of this kind is one. */
  readonly behindLine: readonly number[];
};

/** Tables of all kinds of gaps (separators between characters) within the first six bytes of needles. */
export type GapTables = {
  readonly kinds: readonly GapKindTable[];
  /** For each byte, 1 if it may be a gap: a separator, of any kind, between the characters of a needle. */
  readonly isGap: Uint8Array;
  readonly isAround: Uint8Array;
  /** For each pair of bytes, 1 if a gap (separator) may follow it after fewer than four bytes of a needle. */
  readonly beforeGap: Uint8Array;
  /** The sets of four bytes before a gap (separator) that stands after four to six bytes of a needle. */
  readonly beforeLateGap: GramSet;
  /**
   * The sets of four bytes around a gap (separator): the two of `beforeGap`, and the two bytes after the gap.
   */
  readonly aroundGap: GramSet;
};

export function gapTablesOf(needles: readonly Prefixed[], gaps: readonly AutomatonGaps[]): GapTables {
  const gapped = needles.filter((needle) => needle.gaps !== "none");
  const isNumber = gapped.some((needle) => needle.gaps === "number");
  const tables = {
    isGap: new Uint8Array(256),
    isAround: new Uint8Array(256),
    beforeGap: new Uint8Array(0x1_0000),
    beforeLateGap: new GramSet(gapped.length * 3),
    aroundGap: new GramSet(gapped.length * (isNumber ? 256 : 2)),
  };
  const kinds = gaps.map(({ kind, isGap }) => {
    const isAround = new Uint8Array(256);
    const behind = BEFORE_GAP[kind];
    for (const needle of needles) {
      if (needle.gaps !== kind) continue;
      for (const byte of needle.bytes.subarray(0, PREFIX_BYTES)) isAround[byte] = 1;
      addBeforeGap(tables, needle.bytes, behind);
    }
    for (let byte = 0; byte < 256; byte++) {
      if (isGap[byte] === 1) tables.isGap[byte] = 1;
      if (isAround[byte] === 1) tables.isAround[byte] = 1;
    }
    return { isGap, isAround, behind, behindLine: breaksLines(kind) ? BEFORE_LINE : [] };
  });
  return { ...tables, kinds };
}

function addBeforeGap(
  { beforeGap, beforeLateGap, aroundGap }: Omit<GapTables, "kinds">,
  bytes: Uint8Array,
  behind: readonly number[],
): void {
  for (const count of behind) {
    if (count >= 4) {
      beforeLateGap.add(wordAt(bytes, count - 4));
      continue;
    }
    const after = pairAt(bytes, count) << 16;
    const firsts =
      count > 1
        ? [pairAt(bytes, count - 2)]
        : Array.from({ length: 256 }, (_, any) => any | ((bytes[0] as number) << 8));
    for (const before of firsts) {
      beforeGap[before] = 1;
      aroundGap.add(before | after);
    }
  }
}

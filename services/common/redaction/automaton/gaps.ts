/**
 * The kind of gaps (separators such as line ends and colons) that may stand between the characters of a
 * pattern; "none" means that no gaps may.
 */
export type Gaps = "none" | GapKind;

export const GAP_KINDS = ["base64", "hex", "number"] as const;
export type GapKind = (typeof GAP_KINDS)[number];

/**
 * For each way to write a secret (Base64, hexadecimal digits, a decimal number), its gaps: the separators
 * that programs write between the characters (`between`). A gap may stand first after `minDepth` characters
 * of a pattern, then after each further `every` characters. A line end that is a gap may stand after any
 * character, because a text may be wrapped anywhere, and so may the blanks that follow it.
 */
export const GAPS = {
  base64: { between: bytesOf("\n\r\t "), minDepth: 4, every: 1 },
  // Hexadecimal digits come in pairs: `4a:6f`, `4a 6f`, `4a-6f`, `0x4a, 0x6f`.
  hex: { between: bytesOf("\n\r\t ,:-"), minDepth: 2, every: 2 },
  // The gaps of a number are decimal points and separators of digit groups, with no-break spaces in UTF-8
  // among them.
  number: { between: bytesOf(".,_' \u00a0\u2009\u2019\u202f"), minDepth: 1, every: 1 },
} as const satisfies Record<GapKind, unknown>;

/** For each byte, 1 if it ends a line. */
export const IS_LINE_END: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte === 0x0a || byte === 0x0d ? 1 : 0,
);

/** For each kind of gaps, its bit in a set of kinds. */
const BITS = { none: 1, base64: 2, hex: 4, number: 8 } as const satisfies Record<Gaps, number>;
/** For each byte, the set of the kinds of gaps that it may be. */
const KINDS_OF = Uint8Array.from({ length: 256 }, (_, byte) =>
  GAP_KINDS.reduce(
    (kinds, kind) => ((GAPS[kind].between as readonly number[]).includes(byte) ? kinds | BITS[kind] : kinds),
    0,
  ),
);

/**
 * Bytes that were skipped between two characters of a pattern: the set of the kinds of gaps that all of them
 * may be, and whether one of them may stand only at the places that `GAPS` names.
 */
export type Skip = { readonly kinds: number; readonly isPlaced: boolean };

/** Bytes that stand for no character, such as a soft line break, and may stand in every pattern. */
export const NO_GAP: Skip = { kinds: 0xff, isPlaced: false };

/** A gap of the byte `byte`. `isLine`: whether it is a line end or follows one. */
export function gapOf(byte: number, isLine: boolean): Skip {
  return { kinds: KINDS_OF[byte] as number, isPlaced: !isLine };
}

/** Two skips in a row as one. */
export function joined(one: Skip, other: Skip): Skip {
  return { kinds: one.kinds & other.kinds, isPlaced: one.isPlaced || other.isPlaced };
}

/** Whether a pattern with these gaps may have `skip` after `count` of its characters. */
export function mayHave(gaps: Gaps, skip: Skip, count: number): boolean {
  if ((skip.kinds & BITS[gaps]) === 0) return false;
  if (gaps === "none" || !skip.isPlaced) return true;
  return count >= GAPS[gaps].minDepth && count % GAPS[gaps].every === 0;
}

/** Whether line ends are among the gaps (separators) that may stand between the bytes of a needle. */
export function breaksLines(gaps: Gaps): boolean {
  return gaps !== "none" && GAPS[gaps].between.some((byte) => IS_LINE_END[byte] === 1);
}

/**
 * The states of an automaton in which one kind of gap (separator between the characters of a pattern) may be
 * skipped.
 */
export type AutomatonGaps = {
  readonly kind: GapKind;
  /**
   * For each state, the state in which the scanner continues after skipping a gap (separator); 0 when no gap
   * is allowed.
   */
  readonly states: Int32Array;
  /** The same for a gap that is a line end, or follows one; the same as `states` when no gap of this kind is one. */
  readonly lineStates: Int32Array;
  /** For each byte, 1 if it is a separator of this kind. */
  readonly isGap: Uint8Array;
  /** The number of characters of a pattern that must stand before its first gap (separator). */
  readonly minDepth: number;
  /**
   * Gaps (separators) may stand only after a multiple of this number of a pattern's characters: 2 for
   * hexadecimal digits, which come in pairs, otherwise 1.
   */
  readonly every: number;
};

/**
 * The bytes at which the automaton's scanner must stop, because the text may be read in more than one way
 * there: beginnings of escapes, and gaps (separators between the characters of a pattern).
 */
export type Stops = {
  /** For each byte, 1 if it always stops the scanner, because it may begin an escape. */
  readonly introduces: Uint8Array;
  /** For each kind of gap (separator) that some pattern has, the states in which it may be skipped. */
  readonly gaps: readonly AutomatonGaps[];
};

function bytesOf(text: string): readonly number[] {
  return [...Buffer.from(text)];
}

/** The kind of separators that may stand between the characters of a pattern; "none" means no separators. */
export type Gaps = "none" | GapKind;

export const GAP_KINDS = ["base64", "hex", "number"] as const;
export type GapKind = (typeof GAP_KINDS)[number];

/**
 * For each encoding (base64, hex, decimal numbers): the separators that encoders write into it, and where one
 * may stand: first after `minDepth` characters of a pattern, then after each further `every` characters.
 */
export const GAPS = {
  base64: { between: bytesOf("\n\r\t "), minDepth: 4, every: 1 },
  // Digits come in pairs: `4a:6f`, `4a 6f`, `4a-6f`, `0x4a, 0x6f`.
  hex: { between: bytesOf("\n\r\t ,:-"), minDepth: 2, every: 2 },
  // Decimal points and separators of digit groups, with no-break spaces in UTF-8 among them.
  number: { between: bytesOf(".,_' \u00a0\u2009\u2019\u202f"), minDepth: 1, every: 1 },
} as const satisfies Record<GapKind, unknown>;

/** The states of an automaton in which one kind of gap may be skipped. */
export type AutomatonGaps = {
  readonly kind: GapKind;
  /** For each state, the state in which the scanner continues after the gap; 0 when no gap is allowed. */
  readonly states: Int32Array;
  readonly isGap: Uint8Array;
  /** The number of characters of a pattern that must stand before a gap. */
  readonly minDepth: number;
  /** Gaps stand only after a multiple of this number of characters. */
  readonly every: number;
};

/** The facts about an automaton that its filter needs: bytes that stop the scanner, and gaps. */
export type Stops = {
  /** For each byte, 1 if it always stops the scanner, because it may begin an escape. */
  readonly introduces: Uint8Array;
  /** The gaps of each kind that a pattern has. */
  readonly gaps: readonly AutomatonGaps[];
};

function bytesOf(text: string): readonly number[] {
  return [...Buffer.from(text)];
}

/** Which bytes may stand between the characters of a pattern without breaking it. */
export type Gaps = "none" | GapKind;

export const GAP_KINDS = ["base64", "hex", "number"] as const;
export type GapKind = (typeof GAP_KINDS)[number];

/** The bytes that encoders put between characters, and how much of a pattern must have come before they are passed over. */
export const GAPS = {
  base64: { between: bytesOf("\n\r\t "), minDepth: 4, every: 1 },
  // Digits come in pairs: `4a:6f`, `4a 6f`, `4a-6f`, `0x4a, 0x6f`.
  hex: { between: bytesOf("\n\r\t ,:-"), minDepth: 2, every: 2 },
  // Decimal points and what groups digits, no-break spaces in UTF-8 among them.
  number: { between: bytesOf(".,_' \u00a0\u2009\u2019\u202f"), minDepth: 1, every: 1 },
} as const satisfies Record<GapKind, unknown>;

/** Where a kind of gap may be passed over, by state of the automaton. */
export type AutomatonGaps = {
  readonly kind: GapKind;
  /** By state: the state in which the scanner goes on behind the gap, or 0. */
  readonly states: Int32Array;
  readonly isGap: Uint8Array;
  /** How many characters must have come before a gap. */
  readonly minDepth: number;
  /** Gaps stand behind so many characters each. */
  readonly every: number;
};

/** What the filter has to know of the automaton: bytes that stop the scanner, and gaps. */
export type Stops = {
  /** Whether a byte always stops the scanner, by the byte. */
  readonly introduces: Uint8Array;
  /** What may be passed over where; only kinds that some pattern has. */
  readonly gaps: readonly AutomatonGaps[];
};

function bytesOf(text: string): readonly number[] {
  return [...Buffer.from(text)];
}

const BACKSLASH = 0x5c;

export type Span = { start: number; end: number };

/** The bytes that the inside of a JSON string, `start` to `end` of `text`, stands for; a lone surrogate is U+FFFD. */
export function decodeString(text: Buffer, start: number, end: number): Buffer {
  return Buffer.from(JSON.parse(text.toString("utf8", start - 1, end + 1)));
}

/** Turns spans of decoded bytes (sorted, disjoint, counted from `start`) into the spans of `text` that were written for them. */
export function writtenSpans(text: Buffer, start: number, end: number, decoded: readonly Span[]): Span[] {
  return mapSpans(new StringUnits(text, start, end), decoded, start, (units) => units.decodedLength);
}

/** Widens spans of `text` (sorted, disjoint) so that they cut through no escape. */
export function wholeEscapes(text: Buffer, start: number, end: number, written: readonly Span[]): Span[] {
  return mapSpans(new StringUnits(text, start, end), written, start, (units) => units.end - units.start);
}

/** `origin` and `lengthOf` say how the spans' own positions are counted. */
function mapSpans(
  units: StringUnits,
  spans: readonly Span[],
  origin: number,
  lengthOf: (units: StringUnits) => number,
): Span[] {
  const mapped = spans.map(() => ({ start: -1, end: -1 }));
  let edge = 0;
  let from = origin;
  while (units.advance()) {
    const to = from + lengthOf(units);
    // Even edges open a span, odd ones close it; an opening one belongs to the unit that follows it.
    for (; edge < spans.length * 2; edge++) {
      const span = spans[edge >> 1] as Span;
      const target = mapped[edge >> 1] as Span;
      if (edge % 2 === 0) {
        if (span.start >= to) break;
        target.start = units.start + (units.escaped ? 0 : span.start - from);
      } else {
        if (span.end > to) break;
        target.end = units.escaped ? units.end : units.start + (span.end - from);
      }
    }
    from = to;
  }
  return mapped;
}

/** Walks over a JSON string as it is written: runs of plain bytes, escapes, and pairs of escapes that are one character. */
class StringUnits {
  start = 0;
  end: number;
  escaped = false;
  decodedLength = 0;
  readonly #text: Buffer;
  readonly #stop: number;
  #nextEscape = -1;

  constructor(text: Buffer, start: number, stop: number) {
    this.#text = text;
    this.#stop = stop;
    this.end = start;
  }

  advance(): boolean {
    this.start = this.end;
    if (this.start >= this.#stop) return false;
    if (this.#nextEscape < this.start) {
      const found = this.#text.indexOf(BACKSLASH, this.start);
      this.#nextEscape = found === -1 || found > this.#stop ? this.#stop : found;
    }
    this.escaped = this.#nextEscape === this.start;
    if (this.escaped) this.#escape();
    else {
      this.end = this.#nextEscape;
      this.decodedLength = this.end - this.start;
    }
    return true;
  }

  #escape(): void {
    const at = this.start;
    this.end = at + 2;
    this.decodedLength = 1;
    if (this.#text[at + 1] !== 0x75) return;
    const code = this.#codeUnit(at);
    this.end = at + 6;
    this.decodedLength = code < 0x80 ? 1 : code < 0x800 ? 2 : 3;
    if (code < 0xd800 || code > 0xdbff) return;
    if (this.#text[at + 6] !== BACKSLASH || this.#text[at + 7] !== 0x75) return;
    const low = this.#codeUnit(at + 6);
    if (low < 0xdc00 || low > 0xdfff) return;
    this.end = at + 12;
    this.decodedLength = 4;
  }

  #codeUnit(at: number): number {
    return Number.parseInt(this.#text.toString("latin1", at + 2, at + 6), 16);
  }
}

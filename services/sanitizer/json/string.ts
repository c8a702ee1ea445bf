import { codeUnit } from "#common/json/json-tokens.ts";

const BACKSLASH = 0x5c;
/** Bytes of escapes (or the number of spans) that take less than a millisecond. */
const STEP_BYTES = 16 * 1024;
const STEP_SPANS = 1_000;

export type Span = { start: number; end: number };

/**
 * Maps spans of a string's decoded bytes to the spans of the JSON text that they were decoded from. The spans
 * are sorted, do not overlap, and are counted from `start`.
 */
export function writtenSpans(
  text: Buffer,
  start: number,
  end: number,
  decoded: readonly Span[],
): Generator<void, Span[]> {
  return mapSpans(new StringUnits(text, start, end), decoded, start, (units) => units.decodedLength);
}

/**
 * Widens spans of JSON text so that none begins or ends inside an escape. The spans are sorted and do not
 * overlap.
 */
export function wholeEscapes(
  text: Buffer,
  start: number,
  end: number,
  written: readonly Span[],
): Generator<void, Span[]> {
  return mapSpans(new StringUnits(text, start, end), written, start, (units) => units.end - units.start);
}

/**
 * Maps spans to positions in the JSON text. The spans are counted in decoded or in written bytes: `origin` is
 * the position of the first unit in that count, and `lengthOf` the length of a unit.
 */
function* mapSpans(
  units: StringUnits,
  spans: readonly Span[],
  origin: number,
  lengthOf: (units: StringUnits) => number,
): Generator<void, Span[]> {
  const mapped: Span[] = [];
  let edge = 0;
  let from = origin;
  let pauseAt = units.end + STEP_BYTES;
  while (edge < spans.length * 2 && units.advance()) {
    if (units.start >= pauseAt) {
      yield;
      pauseAt = units.start + STEP_BYTES;
    }
    const to = from + lengthOf(units);
    // Each span has two edges: an even one opens it, an odd one closes it. An opening edge belongs to the
    // unit after it.
    for (; edge < spans.length * 2; edge++) {
      const span = spans[edge >> 1] as Span;
      if (edge % 2 === 0) {
        if (span.start >= to) break;
        mapped.push({ start: units.start + (units.escaped ? 0 : span.start - from), end: -1 });
        if (mapped.length % STEP_SPANS === 0) yield;
      } else {
        if (span.end > to) break;
        const target = mapped[edge >> 1] as Span;
        target.end = units.escaped ? units.end : units.start + (span.end - from);
      }
    }
    from = to;
  }
  return mapped;
}

/**
 * Splits the text of a JSON string into units: runs of plain bytes, single escapes, and pairs of escapes that
 * make one character.
 */
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
    const code = codeUnit(this.#text, at + 2);
    this.end = at + 6;
    this.decodedLength = code < 0x80 ? 1 : code < 0x800 ? 2 : 3;
    if (code < 0xd800 || code > 0xdbff) return;
    if (this.#text[at + 6] !== BACKSLASH || this.#text[at + 7] !== 0x75) return;
    const low = codeUnit(this.#text, at + 8);
    if (low < 0xdc00 || low > 0xdfff) return;
    this.end = at + 12;
    this.decodedLength = 4;
  }
}

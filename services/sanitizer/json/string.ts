import { codeUnit } from "#common/json/json-tokens.ts";

const BACKSLASH = 0x5c;
/** Bytes of a JSON string whose spans are mapped in less than a millisecond. Then other work may run. */
const STEP_BYTES = 16 * 1024;
/** Spans that are mapped in less than a millisecond. Then other work may run. */
const STEP_SPANS = 1_000;

export type Span = { start: number; end: number };

/**
 * Converts spans of a JSON string's decoded text to the spans of the document that encode them, so that a
 * found secret can be replaced there. The string is the bytes `start` to `end` of `text`. The spans are
 * sorted, do not overlap, and count decoded bytes, of which the first has the number `start`.
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
 * Widens spans of a JSON string so that none begins or ends inside an escape such as `\u00e9`, because a part
 * of an escape is not valid JSON. The spans are byte offsets in `text`, sorted and without overlaps.
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
 * Converts spans to byte offsets in the JSON document. The spans count either decoded or written bytes:
 * `origin` is the number of the string's first byte in that count, and `lengthOf` the length in that count of
 * a unit (a run of plain bytes, or an escape).
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
    // Each span has two edges: an even edge opens the span, an odd one closes it. An opening edge belongs to
    // the unit after it.
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
 * Splits the text of a JSON string into units: runs of plain bytes, single escapes, and pairs of `\u` escapes
 * that together make one character.
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

import { StepBytes } from "#common/event-loop/text-steps.ts";
import { decodeString } from "#common/json/decode-string.ts";
import { PLAIN_MARKER } from "#common/redaction/markers.ts";
import type { Shown } from "#common/redaction/matching/regions.ts";
import { Scanner } from "#common/redaction/matching/scanner.ts";
import type { NeedleSet } from "#common/redaction/needles/needle-set.ts";
import { inJson, type Needle } from "#common/redaction/needles/needles.ts";
import type { RedactionCounts } from "#common/redaction/redaction-counts.ts";
import { markerAsWritten } from "#common/redaction/text-redactor.ts";
import { type CredentialFinder, markerOf } from "../credentials/finder.ts";
import { credentialsBetween } from "../credentials/string-pass.ts";
import type { JsonEdits } from "./edits.ts";
import { type Span, wholeEscapes, writtenSpans } from "./string.ts";

/**
 * The arguments of StringEdits: the needles (forms of the secret values) to search for, the finder of unknown
 * credentials, and the lists to which the replacements (`edits`) and their numbers per secret (`counts`) are
 * added.
 */
export type StringSearch = {
  readonly needles: NeedleSet;
  readonly finder: CredentialFinder;
  readonly edits: JsonEdits;
  readonly counts: RedactionCounts;
};

type Found = Span & { readonly name: string; readonly inJson: string };

/** A string of a JSON document: the bytes `start` to `end` of `text`, without the quotes. */
type Place = {
  readonly text: Buffer;
  readonly start: number;
  readonly end: number;
  readonly hasEscapes: boolean;
};

/**
 * Bytes of the longest JSON string that `isClean` decodes and searches. A longer string is decoded by `add`
 * alone, in several steps between which other work may run.
 */
const SHORT_BYTES = 1024;
const STEP_REGIONS = 1_000;

/**
 * Searches the strings of one JSON document for secrets and unknown credentials, and adds the edits that
 * replace them.
 */
export class StringEdits {
  readonly #search: StringSearch;
  /**
   * The scanner for decoded strings. All strings share one, because a document may have millions of strings
   * with escapes.
   */
  readonly #scanner: Scanner;
  readonly #scratch = Buffer.allocUnsafe(SHORT_BYTES);

  constructor(search: StringSearch) {
    this.#search = search;
    this.#scanner = new Scanner(search.needles);
  }

  /**
   * Whether a string with escapes needs no edit, because its decoded text contains no needle and no prefix of
   * a credential. The string is the bytes `start` to `end` of `text`. False for a string of more than
   * SHORT_BYTES, which is not decoded here.
   */
  isClean(text: Buffer, start: number, end: number): boolean {
    if (end - start > SHORT_BYTES) return false;
    const position = { from: start, to: 0 };
    decodeString(text, end, this.#scratch, position);
    const scanner = this.#scanner;
    scanner.reset(start);
    scanner.scan(this.#scratch.subarray(0, position.to));
    scanner.finish();
    return scanner.regions.starts.length === 0 && !scanner.hits.beginBefore(scanner.received);
  }

  /**
   * Adds the edits for one string. Yields about every millisecond, so that other work can run. `raw` is the
   * scanner of the document's raw text, whose first remaining matches belong to this string. A string with
   * escapes is also searched in its decoded form.
   */
  *add(place: Place, raw: Scanner): Generator<void> {
    const { text, start, end, hasEscapes } = place;
    const written = yield* needlesBefore(raw, end, this.#search.needles, writtenMarker);
    const found = hasEscapes
      ? yield* this.#inDecoded(place, written)
      : yield* this.#withCredentials(text.subarray(start, end), start, written, raw);
    let count = 0;
    for (const region of found) {
      if (++count % STEP_REGIONS === 0) yield;
      this.#search.edits.add(region.start, region.end, region.inJson);
      this.#search.counts.add(region.name);
    }
  }

  *#inDecoded({ text, start, end }: Place, written: readonly Found[]): Generator<void, readonly Found[]> {
    const scanner = this.#scanner;
    const target = Buffer.allocUnsafe(end - start);
    const position = { from: start, to: 0 };
    scanner.reset(start);
    const size = new StepBytes();
    while (position.from < end) {
      size.measure(() => {
        const from = position.to;
        decodeString(text, end, target, position, size.bytes);
        scanner.scan(target.subarray(from, position.to));
      });
      if (position.from < end) yield;
    }
    const bytes = target.subarray(0, position.to);
    scanner.finish();
    const needles = yield* needlesBefore(scanner, scanner.received, this.#search.needles, decodedMarker);
    const decoded = yield* this.#withCredentials(bytes, start, needles, scanner);
    if (decoded.length === 0 && written.length === 0) return [];
    const fromDecoded = yield* named(yield* writtenSpans(text, start, end, decoded), decoded);
    const asWritten = yield* named(yield* wholeEscapes(text, start, end, written), written);
    return yield* united(fromDecoded, asWritten);
  }

  /**
   * Returns the given matches of needles together with the unknown credentials between them, sorted by
   * position.
   */
  *#withCredentials(
    bytes: Buffer,
    from: number,
    needles: readonly Found[],
    { hits }: Scanner,
  ): Generator<void, readonly Found[]> {
    if (!hits.beginBefore(from + bytes.length)) return needles;
    const text = { bytes, from };
    const credentials = yield* credentialsBetween(needles, text, hits, this.#search.finder);
    if (credentials.length === 0) return needles;
    const found: Found[] = [];
    for (const each of credentials) {
      const { start, end, name } = each;
      found.push({ start, end, name, inJson: inJson(markerOf(each, text)) });
      if (found.length % STEP_REGIONS === 0) yield;
    }
    return yield* united(needles, found);
  }
}

/**
 * Makes the marker that replaces a match inside a JSON string. The marker shows the last characters of the
 * secret: those in `shown`, as the script wrote them with escapes, or the needle's own when `shown` is
 * undefined.
 */
type MarkerInJson = (needle: Needle, shown: Shown) => string;

const decodedMarker: MarkerInJson = (needle, shown) =>
  shown ? inJson(markerAsWritten(shown)) : needle.inJson;

const writtenMarker: MarkerInJson = (needle, shown) => {
  const marker = shown ? markerAsWritten(shown) : needle.inJson;
  return isInsideOfString(marker) ? marker : PLAIN_MARKER;
};

/**
 * Whether `text` is valid between the quotes of a JSON string. A marker may not be, because the last
 * characters of a match, which it shows, may include a part of an escape.
 */
function isInsideOfString(text: string): boolean {
  try {
    return typeof JSON.parse(`"${text}"`) === "string";
  } catch {
    return false;
  }
}

function* needlesBefore(
  { regions }: Scanner,
  end: number,
  { needles, names }: NeedleSet,
  markerOfNeedle: MarkerInJson,
): Generator<void, readonly Found[]> {
  const found: Found[] = [];
  for (let at = regions.head; at < regions.starts.length; at++) {
    const start = regions.starts[at] as number;
    if (start >= end) break;
    const needle = needles[regions.patterns[at] as number] as Needle;
    const marker = markerOfNeedle(needle, regions.shown[at]);
    found.push({ start, end: regions.ends[at] as number, inJson: marker, name: names[needle.source] ?? "" });
    if (found.length % STEP_REGIONS === 0) yield;
  }
  return found;
}

function* named(spans: readonly Span[], from: readonly Found[]): Generator<void, readonly Found[]> {
  const found: Found[] = [];
  for (const { name, inJson } of from) {
    found.push({ ...(spans[found.length] as Span), name, inJson });
    if (found.length % STEP_REGIONS === 0) yield;
  }
  return found;
}

/**
 * Merges two sorted lists of regions. Overlapping regions become one, with the name of the region that begins
 * first. If both begin together, the merged region has the name of the one in `first`.
 */
function* united(first: readonly Found[], second: readonly Found[]): Generator<void, readonly Found[]> {
  const result: Found[] = [];
  for (let a = 0, b = 0; a < first.length || b < second.length; ) {
    const isFirst = b === second.length || (first[a]?.start ?? Infinity) <= (second[b] as Found).start;
    const region = (isFirst ? first[a++] : second[b++]) as Found;
    const last = result[result.length - 1];
    if (last && region.start < last.end) last.end = Math.max(last.end, region.end);
    else result.push({ ...region });
    if ((a + b) % STEP_REGIONS === 0) yield;
  }
  return result;
}

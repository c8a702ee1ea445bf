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
 * The needles and credentials to search the strings of a document for, and where edits and counts are
 * recorded.
 */
export type StringSearch = {
  readonly needles: NeedleSet;
  readonly finder: CredentialFinder;
  readonly edits: JsonEdits;
  readonly counts: RedactionCounts;
};

type Found = Span & { readonly name: string; readonly inJson: string };

/** A string of a document: the bytes `start` to `end` of `text`, without the quotes. */
type Place = {
  readonly text: Buffer;
  readonly start: number;
  readonly end: number;
  readonly hasEscapes: boolean;
};

/**
 * Bytes of the longest string that `isClean` decodes; a longer one is decoded only once, by `add`, in several
 * steps.
 */
const SHORT_BYTES = 1024;
const STEP_REGIONS = 1_000;

/** Finds the edits that the strings of one document need. */
export class StringEdits {
  readonly #search: StringSearch;
  /** One scanner for all strings, because a document may have millions of strings with escapes. */
  readonly #scanner: Scanner;
  readonly #scratch = Buffer.allocUnsafe(SHORT_BYTES);

  constructor(search: StringSearch) {
    this.#search = search;
    this.#scanner = new Scanner(search.needles);
  }

  /**
   * Whether the decoded text of this string with escapes holds nothing to redact. False for a string of more
   * than SHORT_BYTES, which is not checked here.
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
   * Adds the edits for one string, in steps of about a millisecond. `raw` has the matches in the document's
   * raw text, those of this string first. A string with escapes is also searched in its decoded form.
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

  /** The matches of needles and the unknown credentials between them, in order. */
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
 * Makes the marker for a match inside a JSON string. It shows the needle's last characters, or `shown`, these
 * characters as the script wrote them.
 */
type MarkerInJson = (needle: Needle, shown: Shown) => string;

const decodedMarker: MarkerInJson = (needle, shown) =>
  shown ? inJson(markerAsWritten(shown)) : needle.inJson;

const writtenMarker: MarkerInJson = (needle, shown) => {
  const marker = shown ? markerAsWritten(shown) : needle.inJson;
  return isInsideOfString(marker) ? marker : PLAIN_MARKER;
};

/**
 * Whether the text is valid inside a JSON string, because the last characters of a match may include a part
 * of an escape.
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
 * first. If both begin together, the region from `first` names it.
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

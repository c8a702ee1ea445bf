import type { NeedleSet } from "../common/redaction/needle-set.ts";
import type { Needle } from "../common/redaction/needles.ts";
import type { RedactionCounts } from "../common/redaction/redaction-counts.ts";
import { Scanner } from "../common/redaction/scanner.ts";
import { type CredentialFinder, markerOf } from "./credentials/finder.ts";
import { credentialsBetween } from "./credentials/string-pass.ts";
import type { JsonEdits } from "./json-edits.ts";
import { decodeString, type Span, wholeEscapes, writtenSpans } from "./json-string.ts";

/** What is looked for in the strings of a document, and where what was found is written down. */
export type StringSearch = {
  readonly needles: NeedleSet;
  readonly finder: CredentialFinder;
  readonly edits: JsonEdits;
  readonly counts: RedactionCounts;
};

type Found = Span & { readonly name: string; readonly inJson: string };

/**
 * Adds the edits that the string at `start` to `end` of `text` needs. `raw` holds, first in line, what was found in
 * the string as it is written; a string with escapes is searched in its decoded form as well.
 */
export function stringEdits(
  text: Buffer,
  start: number,
  end: number,
  hasEscapes: boolean,
  raw: Scanner,
  search: StringSearch,
): void {
  const written = needlesBefore(raw, end, search.needles);
  const found = hasEscapes
    ? withDecoded(text, start, end, written, search)
    : withCredentials(text.subarray(start, end), start, written, raw, search);
  for (const region of found) {
    search.edits.add(region.start, region.end, region.inJson);
    search.counts.add(region.name);
  }
}

function withDecoded(
  text: Buffer,
  start: number,
  end: number,
  written: readonly Found[],
  search: StringSearch,
): Found[] {
  const bytes = decodeString(text, start, end);
  const scanner = new Scanner(search.needles.automaton);
  scanner.position = start;
  scanner.scan(bytes);
  const needles = needlesBefore(scanner, scanner.position, search.needles);
  const decoded = withCredentials(bytes, start, needles, scanner, search);
  if (decoded.length === 0 && written.length === 0) return [];
  const named = (spans: Span[], from: readonly Found[]) =>
    from.map((found, index) => ({ ...found, ...(spans[index] as Span) }));
  return united([
    ...named(writtenSpans(text, start, end, decoded), decoded),
    ...named(wholeEscapes(text, start, end, written), written),
  ]);
}

/** `needles`, and the unknown credentials between them, in order. */
function withCredentials(
  bytes: Buffer,
  from: number,
  needles: readonly Found[],
  { hits }: Scanner,
  { finder }: StringSearch,
): readonly Found[] {
  if (!hits.beginBefore(from + bytes.length)) return needles;
  const text = { bytes, from };
  const credentials = credentialsBetween(needles, text, hits, finder);
  const found = credentials.map((each) => ({
    ...each,
    inJson: JSON.stringify(markerOf(each, text)).slice(1, -1),
  }));
  return [...needles, ...found].sort((a, b) => a.start - b.start);
}

function needlesBefore(scanner: Scanner, end: number, { needles, names }: NeedleSet): Found[] {
  const found: Found[] = [];
  for (let at = scanner.head; at < scanner.starts.length; at++) {
    const start = scanner.starts[at] as number;
    if (start >= end) break;
    const { inJson, source } = needles[scanner.patterns[at] as number] as Needle;
    found.push({ start, end: scanner.ends[at] as number, inJson, name: names[source] ?? "" });
  }
  return found;
}

/** Overlapping regions as one, called after the first; the sort is stable, so that what was decoded goes first. */
function united(regions: Found[]): Found[] {
  const result: Found[] = [];
  for (const region of regions.sort((a, b) => a.start - b.start)) {
    const last = result[result.length - 1];
    if (last && region.start < last.end) last.end = Math.max(last.end, region.end);
    else result.push(region);
  }
  return result;
}

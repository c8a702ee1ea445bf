import type { NeedleSet } from "../common/redaction/needle-set.ts";
import type { Needle } from "../common/redaction/needles.ts";
import type { RedactionCounts } from "../common/redaction/redaction-counts.ts";
import { Scanner } from "../common/redaction/scanner.ts";
import type { JsonEdits } from "./json-edits.ts";
import { decodeString, type Span, wholeEscapes, writtenSpans } from "./json-string.ts";

type Found = Span & { readonly pattern: number };

/**
 * Adds the edits that the string at `start` to `end` of `text` needs. `raw` holds, first in line, what was found in
 * the string as it is written; a string with escapes is searched in its decoded form as well.
 */
export function stringEdits(
  text: Buffer,
  start: number,
  end: number,
  hasEscapes: boolean,
  needles: NeedleSet,
  raw: Scanner,
  edits: JsonEdits,
  counts: RedactionCounts,
): void {
  const written = regionsBefore(raw, end);
  const found = hasEscapes ? withDecoded(text, start, end, needles, written) : written;
  for (const region of found) {
    const { inJson, source } = needles.needles[region.pattern] as Needle;
    edits.add(region.start, region.end, inJson);
    counts.add(needles, source);
  }
}

function withDecoded(
  text: Buffer,
  start: number,
  end: number,
  needles: NeedleSet,
  written: readonly Found[],
): Found[] {
  const scanner = new Scanner(needles.automaton);
  scanner.scan(decodeString(text, start, end));
  const decoded = regionsBefore(scanner, scanner.position);
  if (decoded.length === 0 && written.length === 0) return [];
  const named = (spans: Span[], from: readonly Found[]) =>
    spans.map((span, index) => ({ ...span, pattern: from[index]?.pattern ?? 0 }));
  return united([
    ...named(writtenSpans(text, start, end, decoded), decoded),
    ...named(wholeEscapes(text, start, end, written), written),
  ]);
}

function regionsBefore(scanner: Scanner, end: number): Found[] {
  const found: Found[] = [];
  for (let at = scanner.head; at < scanner.starts.length; at++) {
    const start = scanner.starts[at] as number;
    if (start >= end) break;
    found.push({ start, end: scanner.ends[at] as number, pattern: scanner.patterns[at] as number });
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

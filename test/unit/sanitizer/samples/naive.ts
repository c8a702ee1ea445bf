import { GAPS, IS_LINE_END } from "#common/redaction/automaton/gaps.ts";
import { EscapeReader, introducersFor, NOTHING, RAW_BYTE } from "#common/redaction/escapes/escape-reader.ts";
import { type MatchCheck, meantBy, type NeedleCheck } from "#common/redaction/needles/match-checks.ts";
import type { Needle } from "#common/redaction/needles/needles.ts";
import { NumberIndex } from "#common/redaction/needles/number-index.ts";
import { markerAsWritten } from "#common/redaction/text-redactor.ts";

export type Region = {
  readonly start: number;
  end: number;
  readonly needle: Needle;
  readonly marker: string;
};

/** A match of a needle's bytes in a text. */
type Occurrence = { readonly end: number; readonly tailFrom: number; readonly isWritten: boolean };

/** The plain reading of the rules, slow and obvious: every occurrence of every needle, overlapping ones as one. */
export function naiveRegions(text: Buffer, needles: readonly Needle[]): Region[] {
  const found: Region[] = [];
  const used = new Uint8Array(256);
  for (const needle of needles) for (const byte of needle.bytes) used[byte] = 1;
  const introduces = new Uint8Array(256);
  for (const byte of introducersFor(used)) introduces[byte] = 1;
  const reader = new EscapeReader(introduces);
  for (const needle of needles) {
    for (let start = 0; start < text.length; start++) {
      for (const occurrence of occurrences(text, needle, start, introduces, reader)) {
        const region = regionOf(text, needle, start, occurrence);
        if (region) found.push(region);
      }
    }
  }
  found.sort((a, b) => a.start - b.start || b.end - a.end);
  const regions: Region[] = [];
  for (const each of found) {
    const last = regions.at(-1);
    if (last && each.start < last.end) last.end = Math.max(last.end, each.end);
    else regions.push({ ...each });
  }
  return regions;
}

function regionOf(text: Buffer, needle: Needle, start: number, occurrence: Occurrence): Region | undefined {
  const { end, tailFrom, isWritten } = occurrence;
  const { check, marker, tail } = needle;
  if (check) {
    if (check.kind === "piece" && !isWritten) return undefined;
    const before = text.subarray(Math.max(0, start - 64), start);
    const around = { before, from: text.subarray(start), matchBytes: end - start };
    const meant = meantBy(alone(check), around);
    return meant === undefined ? undefined : { start, end: start + meant.bytes, needle, marker };
  }
  const isEscaped = tail > 0 && end - tailFrom !== tail;
  return { start, end, needle, marker: isEscaped ? markerAsWritten(text.subarray(tailFrom, end)) : marker };
}

/** Each number by itself. */
function alone(check: NeedleCheck): MatchCheck {
  if (check?.kind !== "number") return check;
  const numbers = new NumberIndex<number>();
  numbers.add(check.number, 0);
  return { kind: "number", numbers };
}

function occurrences(
  text: Buffer,
  needle: Needle,
  start: number,
  introduces: Uint8Array,
  reader: EscapeReader,
): Occurrence[] {
  const { bytes, gaps, tail } = needle;
  const found: Occurrence[] = [];
  // Several escapes in a row may be read in many ways that come to the same; each is followed once.
  const followed = new Set<string>();
  const follow = (
    at: number,
    count: number,
    tailFrom: number,
    isWritten: boolean,
    isBehindNothing = false,
  ): void => {
    const place = [at, count, tailFrom, isWritten, isBehindNothing].join();
    if (followed.has(place)) return;
    followed.add(place);
    if (count === bytes.length) {
      found.push({ end: at, tailFrom, isWritten });
      return;
    }
    if (at >= text.length) return;
    const tailHere = bytes.length - count === tail ? at : tailFrom;
    if (text[at] === bytes[count]) follow(at + 1, count + 1, tailHere, isWritten);
    const passes = (byte: number) => {
      if (gaps === "none" || count === 0) return false;
      const { between, minDepth, every } = GAPS[gaps];
      const isPlace =
        IS_LINE_END[byte] === 1 || isBehindNothing || (count >= minDepth && count % every === 0);
      return isPlace && (between as readonly number[]).includes(byte);
    };
    if (passes(text[at] as number)) follow(at + 1, count, tailHere, false, true);
    if (introduces[text[at] as number] === 0) return;
    reader.read(text, at, true);
    const codes = [...reader.codes.subarray(0, reader.count)];
    const nexts = [...reader.nexts.subarray(0, reader.count)];
    codes.forEach((code, index) => {
      const next = nexts[index] as number;
      if (code === NOTHING) {
        if (count > 0) follow(next, count, tailHere, false, true);
        return;
      }
      if (code < 128 && passes(code)) follow(next, count, tailHere, false, true);
      const meant = code >= RAW_BYTE ? Buffer.of(code - RAW_BYTE) : Buffer.from(String.fromCodePoint(code));
      if (meant.equals(bytes.subarray(count, count + meant.length)))
        follow(next, count + meant.length, tailHere, false);
    });
  };
  follow(start, 0, start, true);
  // Of several readings of one match, the marker shows the end of the one with the fewest bytes.
  return found.sort((a, b) => b.tailFrom - a.tailFrom);
}

export function naivelyRedacted(text: Buffer, needles: readonly Needle[]): Buffer {
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const { start, end, marker } of naiveRegions(text, needles)) {
    parts.push(text.subarray(at, start), Buffer.from(marker));
    at = end;
  }
  return Buffer.concat([...parts, text.subarray(at)]);
}

/** How many bytes at the end of `text` could be the beginning of a needle, as it is written. */
export function possibleBeginning(text: Buffer, needles: readonly Needle[]): number {
  let longest = 0;
  for (const { bytes } of needles) {
    for (let length = Math.min(bytes.length - 1, text.length); length > longest; length--) {
      if (text.subarray(text.length - length).equals(bytes.subarray(0, length))) longest = length;
    }
  }
  return longest;
}

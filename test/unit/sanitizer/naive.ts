import type { Needle } from "../../../services/common/redaction/needles.ts";

export type Region = { readonly start: number; end: number; readonly needle: Needle };

/** The plain reading of the rules, slow and obvious: every occurrence of every needle, overlapping ones as one. */
export function naiveRegions(text: Buffer, needles: readonly Needle[]): Region[] {
  const found: Region[] = [];
  for (const needle of needles) {
    for (let at = text.indexOf(needle.bytes); at !== -1; at = text.indexOf(needle.bytes, at + 1)) {
      found.push({ start: at, end: at + needle.bytes.length, needle });
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

export function naivelyRedacted(text: Buffer, needles: readonly Needle[]): Buffer {
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const { start, end, needle } of naiveRegions(text, needles)) {
    parts.push(text.subarray(at, start), needle.replacement);
    at = end;
  }
  return Buffer.concat([...parts, text.subarray(at)]);
}

/** How many bytes at the end of `text` could be the beginning of a needle. */
export function possibleBeginning(text: Buffer, needles: readonly Needle[]): number {
  let longest = 0;
  for (const { bytes } of needles) {
    for (let length = Math.min(bytes.length - 1, text.length); length > longest; length--) {
      if (text.subarray(text.length - length).equals(bytes.subarray(0, length))) longest = length;
    }
  }
  return longest;
}

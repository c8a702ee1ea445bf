import type { Hits } from "../../common/redaction/hits.ts";
import type { Credential, CredentialFinder } from "./finder.ts";
import type { Stretch } from "./shape.ts";

type Region = { readonly start: number; readonly end: number };

/**
 * The unknown credentials in a whole text, between the `needles` that were found in it (sorted, disjoint). Takes the
 * triggers that begin in the text, or before it, from `hits`.
 */
export function credentialsBetween(
  needles: readonly Region[],
  text: Stretch,
  hits: Hits,
  finder: CredentialFinder,
): Credential[] {
  let rest = text;
  for (const { start, end } of needles) {
    search(finder, hits, { bytes: rest.bytes.subarray(0, start - rest.from), from: rest.from });
    rest = { bytes: rest.bytes.subarray(end - rest.from), from: end };
  }
  search(finder, hits, rest);
  return finder.found.splice(0);
}

function search(finder: CredentialFinder, hits: Hits, stretch: Stretch): void {
  finder.search(hits, stretch.from, stretch);
  finder.settle(stretch, true);
}

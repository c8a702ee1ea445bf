import type { Hits } from "../../common/redaction/hits.ts";
import type { Allowance } from "./allowance.ts";
import { type Credential, CredentialFinder } from "./finder.ts";
import type { Judge } from "./rules.ts";
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
  judge: Judge,
  allowance: Allowance,
): Credential[] {
  const credentials: Credential[] = [];
  const end = text.from + text.bytes.length;
  let from = text.from;
  for (const next of [...needles, { start: end, end }]) {
    const bytes = text.bytes.subarray(from - text.from, next.start - text.from);
    const finder = new CredentialFinder(judge, allowance);
    finder.search(hits, from, { bytes, from });
    finder.settle({ bytes, from }, true);
    for (const credential of finder.found) credentials.push(credential);
    from = next.end;
  }
  return credentials;
}

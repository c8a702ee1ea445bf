import type { Hits } from "#common/redaction/matching/hits.ts";
import type { Credential, CredentialFinder } from "./finder.ts";
import type { Stretch } from "./shape.ts";

type Region = { readonly start: number; readonly end: number };

/**
 * Bytes of text after which other work of the process may run. Asking the rules about every credential-like
 * text in so many bytes takes a few milliseconds.
 */
const STEP_BYTES = 4 * 1024;

/**
 * Finds the unknown credentials of a complete text, in the parts between the matches of `needles`, which are
 * sorted and do not overlap. Removes the triggers (prefixes of credentials) that begin in the text, or before
 * it, from `hits`. Yields every few milliseconds, so that other work can run.
 */
export function* credentialsBetween(
  needles: readonly Region[],
  text: Stretch,
  hits: Hits,
  finder: CredentialFinder,
): Generator<void, Credential[]> {
  let rest = text;
  for (const { start, end } of needles) {
    yield* search(finder, hits, { bytes: rest.bytes.subarray(0, start - rest.from), from: rest.from });
    rest = { bytes: rest.bytes.subarray(end - rest.from), from: end };
  }
  yield* search(finder, hits, rest);
  return finder.found.splice(0);
}

function* search(finder: CredentialFinder, hits: Hits, stretch: Stretch): Generator<void> {
  const { bytes, from } = stretch;
  for (let to = STEP_BYTES; to < bytes.length && hits.beginBefore(from + bytes.length); to += STEP_BYTES) {
    finder.search(hits, from, { bytes: bytes.subarray(0, to), from });
    yield;
  }
  finder.search(hits, from, stretch);
  finder.settle(stretch, true);
}

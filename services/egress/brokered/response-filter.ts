import { type NeedleSet, withReplacements } from "#common/redaction/needles/needle-set.ts";
import { TextRedactor } from "#common/redaction/text-redactor.ts";
import { CompiledValues } from "./compiled-values.ts";
import type { Placeholder } from "./placeholders.ts";

/** What is looked for in the responses of one host: the brokered values that it is sent, and so knows. */
export type ResponseFilter = {
  readonly needles: NeedleSet;
  /** How many bytes a body leaves later than it comes. */
  readonly lagBytes: number;
};

/** No spelling of a value is longer than the value by more than this factor: `&#x2b;` escaped twice more. */
const LONGEST_SPELLING = 24;
/** The lag comes in steps of this size, so that it does not tell how long a value is. */
const LAG_STEP_BYTES = 4_096;

/**
 * The filters of one run by host. A host that has no secret of the run's is not filtered: what is taken out, and what is
 * held back, would tell a script at any such host whether a guess of a value was right.
 *
 * In place of a value the script reads the placeholder that it sent: a usual marker would tell the last four characters.
 */
export function responseFilters(
  placeholders: readonly Placeholder[],
  compiled = new CompiledValues(),
): ReadonlyMap<string, ResponseFilter> {
  const hosts = new Set(placeholders.map(({ host }) => host));
  return new Map(
    [...hosts].map((host) => [
      host,
      filterOf(
        placeholders.filter((each) => each.host === host),
        compiled,
      ),
    ]),
  );
}

/**
 * Looks for whole values only. A part that were found by itself, such as a window of a long value or a field of a
 * structured one, could be guessed by itself: with a known beginning (`eyJhbGci…`) one character after the other.
 */
function filterOf(placeholders: readonly Placeholder[], compiled: CompiledValues): ResponseFilter {
  const values = placeholders.map(({ secret }) => secret.reveal());
  const shared = compiled.of(values);
  const longest = Math.max(...values.map((value) => Buffer.byteLength(value))) * LONGEST_SPELLING;
  const lagBytes = Math.ceil(longest / LAG_STEP_BYTES) * LAG_STEP_BYTES;
  return {
    // Made for each search, so that a route holds nothing of its own while its run is paused.
    get needles() {
      return withReplacements(
        shared,
        placeholders.map(({ text }) => text),
      );
    },
    lagBytes,
  };
}

/**
 * Lines of a response's head without the needles, each by itself. Lines are bytes that Node shows as Latin-1. All are searched at once, and
 * halves of them only where something was found, because a search of its own for each of thousands of lines takes a second.
 */
export function redactLines({ needles }: ResponseFilter, lines: readonly string[]): string[] {
  const found = needles;
  const clean = [...lines];
  const search = (from: number, to: number): void => {
    const text = lines.slice(from, to).join("\n");
    const redacted = redactText(found, text);
    if (redacted === text) return;
    if (to - from === 1) {
      clean[from] = redacted;
      return;
    }
    const middle = (from + to) >> 1;
    search(from, middle);
    search(middle, to);
  };
  search(0, lines.length);
  return clean;
}

function redactText(needles: NeedleSet, text: string): string {
  const redactor = new TextRedactor(needles);
  const pieces = [...redactor.push(Buffer.from(text, "latin1")), ...redactor.end(false).pieces];
  return Buffer.concat(pieces).toString("latin1");
}

import { type NeedleSet, withReplacements } from "#common/redaction/needles/needle-set.ts";
import { TextRedactor } from "#common/redaction/text-redactor.ts";
import { CompiledValues } from "./compiled-values.ts";
import type { Placeholder } from "./placeholders.ts";

/**
 * The search in responses of one host: for the brokered secret values that are sent to this host, and that it
 * therefore knows.
 */
export type ResponseFilter = {
  /** The forms of the values to search for, each with the placeholder that replaces it. */
  readonly needles: NeedleSet;
  /** The number of further bytes of a response body that must arrive before a byte is released. */
  readonly lagBytes: number;
};

/**
 * The number of bytes that the longest spelling of a value may have for each byte of the value; for example
 * `&#x2b;` for a plus sign, escaped twice more.
 */
const LONGEST_SPELLING = 24;
/**
 * The number of bytes by which a response body lags behind is a multiple of this size, so that it does not
 * reveal the length of a secret value.
 */
const LAG_STEP_BYTES = 4_096;

/**
 * The response filters of one run, by host. Responses of a host that gets no secret of the run are not
 * filtered, because redactions and delays there would tell a script whether its guess of a value was right.
 *
 * A found value is replaced by the script's placeholder, because a usual marker would reveal the last four
 * characters.
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
 * Makes a filter that finds only complete values. If a part of a value were found by itself, such as a
 * section of a long value or a field of a structured one, a script could guess this part: after a known
 * beginning (`eyJhbGci…`) one character after the other.
 */
function filterOf(placeholders: readonly Placeholder[], compiled: CompiledValues): ResponseFilter {
  const values = placeholders.map(({ secret }) => secret.reveal());
  const shared = compiled.of(values);
  const longest = Math.max(...values.map((value) => Buffer.byteLength(value))) * LONGEST_SPELLING;
  const lagBytes = Math.ceil(longest / LAG_STEP_BYTES) * LAG_STEP_BYTES;
  return {
    // The needles with the placeholders are made again for each search and are not stored, because a route
    // exists as long as its run, also while the run is paused. A stored copy in each route of a thousand
    // paused runs would take much memory.
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
 * Redacts the status text, header names and header values of a response, each by itself. The lines are bytes
 * that Node represents as Latin-1. All lines are searched together first, and then halves of them where a
 * secret was found, because a separate search of each of thousands of lines takes a second.
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

import { type NeedleSet, withReplacements } from "#common/redaction/needles/needle-set.ts";
import { TextRedactor } from "#common/redaction/text-redactor.ts";
import { CompiledValues } from "./compiled-values.ts";
import type { Placeholder } from "./placeholders.ts";

/**
 * The search in responses of one host: for the brokered secret values that are sent to this host, and that it
 * therefore knows.
 */
export type ResponseFilter = {
  readonly needles: NeedleSet;
  /** The number of bytes by which the body of a response lags behind. */
  readonly lagBytes: number;
};

/**
 * The longest spelling of a value has at most so many times its bytes; for example `&#x2b;` escaped twice
 * more.
 */
const LONGEST_SPELLING = 24;
/** The lag is a multiple of this size, so that it does not reveal the length of a secret value. */
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
 * Makes a filter that finds only complete values. If a part of a value was found by itself, such as a section
 * of a long value or a field of a structured one, a script could guess it by itself: after a known beginning
 * (`eyJhbGci…`) one character after the other.
 */
function filterOf(placeholders: readonly Placeholder[], compiled: CompiledValues): ResponseFilter {
  const values = placeholders.map(({ secret }) => secret.reveal());
  const shared = compiled.of(values);
  const longest = Math.max(...values.map((value) => Buffer.byteLength(value))) * LONGEST_SPELLING;
  const lagBytes = Math.ceil(longest / LAG_STEP_BYTES) * LAG_STEP_BYTES;
  return {
    // The needles are made for each search, so that a route keeps no copy while its run is paused.
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
 * Redacts the lines of a response's head, each line by itself. The lines are bytes that Node represents as
 * Latin-1. All lines are searched together first, and then halves of them where a secret was found, because a
 * separate search of each of thousands of lines takes a second.
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

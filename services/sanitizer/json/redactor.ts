import { isUtf8 } from "node:buffer";
import type { AirlockError } from "#common/errors.ts";
import { StepBytes } from "#common/event-loop/text-steps.ts";
import { atOnce, Turn, turnsOf } from "#common/event-loop/turn.ts";
import { JsonSyntaxError, JsonTokens } from "#common/json/json-tokens.ts";
import { Scanner } from "#common/redaction/matching/scanner.ts";
import type { NeedleSet } from "#common/redaction/needles/needle-set.ts";
import type { Needle } from "#common/redaction/needles/needles.ts";
import { RedactionCounts } from "#common/redaction/redaction-counts.ts";
import { Allowance } from "../credentials/allowance.ts";
import { CredentialFinder } from "../credentials/finder.ts";
import type { Judge } from "../credentials/rules.ts";
import { outputWithheld } from "../output-withheld.ts";
import { JsonEdits } from "./edits.ts";
import { KeyNames } from "./keys.ts";
import { StringEdits } from "./string-edits.ts";

/**
 * Bytes of JSON text whose tokens are checked in about a millisecond. Then other work of the process may run.
 */
const WALK_BYTES = 16 * 1024;
/**
 * Bytes of JSON strings with escapes that are decoded and searched before other work of the process may run.
 * This takes about a millisecond; a few milliseconds when an attacker has made the text.
 */
const DECODED_BYTES = 2 * 1024;
/**
 * The bytes that one lookup of a JSON number counts towards DECODED_BYTES, because a lookup among the secret
 * numbers takes about as long as searching so many bytes.
 */
const NUMBER_BYTES = 16;
/**
 * Bytes of the longest JSON string that is redacted without a pause. A longer string is redacted in several
 * steps, between which other work of the process may run.
 */
const SHORT_STRING_BYTES = 1024;

/**
 * The arguments of a redaction: the JSON document (`text`), the needles (forms of the secret values) to
 * search for, the `judge` that decides about unknown credentials, and the `counts` to which each replacement
 * is added. The redaction rejects with `cancelled` when `signal` aborts.
 */
export type JsonWork = {
  readonly text: Buffer;
  readonly needles: NeedleSet;
  readonly judge: Judge;
  readonly counts: RedactionCounts;
  readonly signal: AbortSignal;
  readonly turn: Turn;
};

/**
 * Redacts a whole JSON document: strings and keys by their decoded text, numbers by their text and value.
 * Unknown credentials are searched for in strings and keys only. All other bytes stay as they are. Yields
 * after each turn of a few milliseconds, and returns the replacements. Throws `output_withheld` when the
 * document is not valid JSON, or when a secret spans the brackets and commas of the JSON.
 */
export async function* jsonRedaction(work: JsonWork): AsyncGenerator<void, JsonEdits> {
  const { text, needles, judge, counts, signal, turn } = work;
  if (!isUtf8(text)) throw notJson();
  const edits = new JsonEdits(text);
  try {
    yield* turnsOf(redactionSteps(text, needles, judge, edits, counts), signal, turn);
  } catch (error) {
    throw error instanceof JsonSyntaxError ? notJson() : error;
  }
  return edits;
}

/**
 * Redacts a whole JSON document like `jsonRedaction`, for callers that need only the edits and have nothing
 * to do between the turns.
 */
export async function redactJson(
  text: Buffer,
  needles: NeedleSet,
  judge: Judge,
  signal: AbortSignal,
): Promise<JsonEdits> {
  const counts = new RedactionCounts();
  const turns = jsonRedaction({ text, needles, judge, counts, signal, turn: new Turn() });
  for (;;) {
    const { done, value } = await turns.next();
    if (done) return value as JsonEdits;
  }
}

function* redactionSteps(
  text: Buffer,
  needles: NeedleSet,
  judge: Judge,
  edits: JsonEdits,
  counts: RedactionCounts,
): Generator<void> {
  const raw = new Scanner(needles);
  const size = new StepBytes();
  for (let at = 0; at < text.length; ) {
    const part = text.subarray(at, at + size.bytes);
    size.measure(() => raw.scan(part));
    at += part.length;
    yield;
  }
  raw.finish();
  yield* new DocumentWalk(text, needles, judge, raw, edits, counts).steps();
}

class DocumentWalk {
  readonly #edits: JsonEdits;
  readonly #text: Buffer;
  readonly #needles: NeedleSet;
  readonly #raw: Scanner;
  readonly #counts: RedactionCounts;
  readonly #strings: StringEdits;
  readonly #tokens: JsonTokens;
  readonly #keys: KeyNames;
  /**
   * The byte offset in the document at which the last redacted string or number ends. Matches that begin
   * before this offset count as replaced.
   */
  #changedTo = 0;
  /**
   * The work since other work of the process could last run, in bytes: the length of strings with escapes,
   * and NUMBER_BYTES for each number that was looked up. Above DECODED_BYTES the redaction yields.
   */
  #decoded = 0;

  constructor(
    text: Buffer,
    needles: NeedleSet,
    judge: Judge,
    raw: Scanner,
    edits: JsonEdits,
    counts: RedactionCounts,
  ) {
    this.#counts = counts;
    this.#text = text;
    this.#needles = needles;
    this.#raw = raw;
    this.#tokens = new JsonTokens(text);
    this.#edits = edits;
    const finder = new CredentialFinder(judge, new Allowance());
    this.#strings = new StringEdits({ needles, finder, edits, counts });
    this.#keys = new KeyNames(text, edits);
  }

  /**
   * Adds the edits for the whole document, token by token. Yields about every millisecond, so that the caller
   * can let other work run.
   */
  *steps(): Generator<void> {
    const tokens = this.#tokens;
    tokens.pauseAt = WALK_BYTES;
    for (;;) {
      switch (tokens.next()) {
        case "open-object":
          this.#keys.open();
          break;
        case "close-object":
          yield* this.#keys.close();
          break;
        case "key": {
          const firstEdit = this.#edits.count;
          if (this.#needsSearch()) yield* this.#string();
          if (this.#isPauseDue) yield this.#pause();
          yield* this.#keys.key(tokens.start, tokens.end, firstEdit);
          break;
        }
        case "string":
          if (this.#needsSearch()) yield* this.#string();
          if (this.#isPauseDue) yield this.#pause();
          break;
        case "number":
          this.#number();
          if (this.#isPauseDue) yield this.#pause();
          break;
        case "pause":
          yield this.#pause();
          break;
        case "end":
          this.#dropRegionsBefore(this.#text.length);
          return;
      }
    }
  }

  get #isPauseDue(): boolean {
    return this.#decoded > DECODED_BYTES;
  }

  #pause(): void {
    this.#decoded = 0;
    this.#tokens.pauseAt = this.#tokens.position + WALK_BYTES;
  }

  /**
   * Whether the current string may need an edit: the search of the raw text found a secret or a credential's
   * prefix in the string or across its quotes, or the string has escapes and its decoded text may contain a
   * secret.
   */
  #needsSearch(): boolean {
    const { start, end, hasEscapes } = this.#tokens;
    if (this.#hasRegionBefore(end + 1) || this.#hasHitBefore(end)) return true;
    if (!hasEscapes) return false;
    this.#decoded += end - start;
    return !this.#strings.isClean(this.#text, start, end);
  }

  *#string(): Generator<void> {
    const { start, end, hasEscapes } = this.#tokens;
    const crossing = this.#crossing(start - 1, end + 1, start, end);
    if (crossing) {
      this.#edits.add(start, end, JSON.stringify(crossing.marker).slice(1, -1));
      this.#counts.add(this.#needles.names[crossing.source] ?? "");
      return;
    }
    if (!hasEscapes && !this.#hasRegionBefore(end) && !this.#hasHitBefore(end)) return;
    const edits = this.#strings.add({ text: this.#text, start, end, hasEscapes }, this.#raw);
    if (end - start <= SHORT_STRING_BYTES) atOnce(edits);
    else yield* edits;
    this.#changedTo = end;
  }

  #number(): void {
    const { start, end } = this.#tokens;
    this.#dropRegionsBefore(start);
    this.#dropGroupsBefore(end);
    const { numbers } = this.#needles;
    let found: Needle | undefined;
    if (this.#hasRegionBefore(end)) found = this.#needleOf(this.#raw.regions.head);
    else if (!numbers.isEmpty) {
      this.#decoded += NUMBER_BYTES;
      const place = numbers.find(this.#text.toString("latin1", start, end));
      if (place !== undefined) found = this.#needles.needles[place];
    }
    if (!found) return;
    this.#edits.add(start, end, JSON.stringify(found.marker));
    this.#counts.add(this.#needles.names[found.source] ?? "");
    this.#changedTo = end;
  }

  /**
   * Drops matches of a secret number with separators (such as `48,151`) that span several JSON numbers,
   * because a comma between JSON numbers does not group digits: `[48,151,623]` is three numbers. A JSON
   * number that is a secret by itself is still found by its value.
   */
  #dropGroupsBefore(end: number): void {
    const { start } = this.#tokens;
    const { regions } = this.#raw;
    while (this.#hasRegionBefore(end) && this.#needleOf(regions.head).gaps !== "none") {
      const isWithin =
        (regions.starts[regions.head] as number) >= start && (regions.ends[regions.head] as number) <= end;
      if (isWithin) return;
      regions.shift();
    }
  }

  /**
   * The needle whose match in the raw text reaches beyond the inside of a string, such as over its quotes, so
   * that the whole string must be replaced. `start` and `end` are the byte offsets without the quotes,
   * `outerStart` and `outerEnd` those with the quotes. Undefined when no match does so.
   */
  #crossing(outerStart: number, outerEnd: number, start: number, end: number): Needle | undefined {
    this.#dropRegionsBefore(outerStart);
    const { starts, ends, head } = this.#raw.regions;
    for (let at = head; at < starts.length && (starts[at] as number) < outerEnd; at++) {
      if ((starts[at] as number) < start || (ends[at] as number) > end) {
        this.#changedTo = outerEnd;
        return this.#needleOf(at);
      }
    }
    return undefined;
  }

  #hasRegionBefore(end: number): boolean {
    const { starts, head } = this.#raw.regions;
    return (starts[head] ?? end) < end;
  }

  #hasHitBefore(end: number): boolean {
    return this.#raw.hits.beginBefore(end);
  }

  #needleOf(region: number): Needle {
    return this.#needles.needles[this.#raw.regions.patterns[region] as number] as Needle;
  }

  /**
   * Removes the matches that end at or before `position`. Throws `output_withheld` when such a match was in
   * no string and no number, because a secret of brackets, commas and literals cannot be replaced without
   * breaking the JSON.
   */
  #dropRegionsBefore(position: number): void {
    const { regions } = this.#raw;
    while ((regions.ends[regions.head] ?? position + 1) <= position) {
      if ((regions.starts[regions.head] as number) >= this.#changedTo) {
        throw outputWithheld("a secret is part of the structure of its JSON, where it cannot be replaced");
      }
      regions.shift();
    }
  }
}

function notJson(): AirlockError {
  return outputWithheld("it is not valid JSON");
}

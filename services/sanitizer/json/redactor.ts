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

/** Bytes whose tokens are checked one by one in about a millisecond. */
const WALK_BYTES = 16 * 1024;
/**
 * Bytes of strings with escapes, which are decoded and searched again, that are processed in one step. This
 * takes about a millisecond; a few milliseconds when an attacker has made the text.
 */
const DECODED_BYTES = 2 * 1024;
/** Looking up a number takes about as long as searching so many bytes. */
const NUMBER_BYTES = 16;
/** Bytes of the longest string that is processed in one step. */
const SHORT_STRING_BYTES = 1024;

/** A JSON document to redact, with what the redaction needs. It ends when `signal` aborts. */
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
 * Unknown credentials are searched for in strings and keys only. All other bytes stay. Yields after each turn
 * of the work, and returns the edits. Throws `output_withheld` when the document is not JSON.
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

/** Redacts a whole JSON document like `jsonRedaction`, for callers that only need the result. */
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
  /** Byte offset of the end of the last token that was changed. */
  #changedTo = 0;
  /**
   * Work since the last pause, in bytes: decoded strings, and NUMBER_BYTES for each number that was looked
   * up.
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

  /** Redacts the whole document token by token, in steps of about a millisecond. */
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
   * Whether anything was found in the string or across its quotes, or could be found once the string is
   * decoded.
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
   * Drops matches that span several numbers, because a comma between JSON numbers does not group digits:
   * `[48,151,623]` is three numbers. A number that is a secret by itself is still found by its value.
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
   * The needle of a match in the raw text that overlaps the token and reaches beyond its inside, such as over
   * a string's quotes. Undefined when there is none.
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
   * Throws `output_withheld` when a match was in no string and no number. A secret of brackets, commas and
   * literals cannot be removed without breaking the JSON.
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

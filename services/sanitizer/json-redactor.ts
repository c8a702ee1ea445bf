import { isUtf8 } from "node:buffer";
import type { AirlockError } from "../common/errors.ts";
import type { NeedleSet } from "../common/redaction/needle-set.ts";
import type { Needle, NumberNeedle } from "../common/redaction/needles.ts";
import { RedactionCounts } from "../common/redaction/redaction-counts.ts";
import { Scanner } from "../common/redaction/scanner.ts";
import { breathe } from "./breathe.ts";
import { Allowance } from "./credentials/allowance.ts";
import { CredentialFinder } from "./credentials/finder.ts";
import type { Judge } from "./credentials/rules.ts";
import { JsonEdits } from "./json-edits.ts";
import { KeyNames } from "./json-keys.ts";
import { type StringSearch, stringEdits } from "./json-string-edits.ts";
import { JsonSyntaxError, JsonTokens } from "./json-tokens.ts";
import { outputWithheld } from "./output-withheld.ts";

/** After so many bytes other work gets its turn. */
const SLICE_BYTES = 1024 * 1024;

/** Shorter ones are too small to be looked for. */
const MIN_NUMBER_BYTES = 3;

/**
 * Redacts a whole JSON document: strings and keys by their decoded text, numbers by their spelling and value. Unknown
 * credentials are looked for in strings and keys only. All other bytes stay. Rejects with `output_withheld` when it is
 * not JSON.
 */
export async function redactJson(
  text: Buffer,
  needles: NeedleSet,
  judge: Judge,
  signal: AbortSignal,
  counts = new RedactionCounts(),
): Promise<JsonEdits> {
  if (!isUtf8(text)) throw notJson();
  const raw = new Scanner(needles.automaton);
  for (let at = 0; at < text.length; at += SLICE_BYTES) {
    if (at > 0) await breathe(signal);
    raw.scan(text.subarray(at, at + SLICE_BYTES));
  }
  const walk = new DocumentWalk(text, needles, judge, raw, counts);
  try {
    while (!walk.advance(SLICE_BYTES)) await breathe(signal);
  } catch (error) {
    throw error instanceof JsonSyntaxError ? notJson() : error;
  }
  return walk.edits;
}

class DocumentWalk {
  readonly edits: JsonEdits;
  readonly #text: Buffer;
  readonly #needles: NeedleSet;
  readonly #raw: Scanner;
  readonly #counts: RedactionCounts;
  readonly #search: StringSearch;
  readonly #tokens: JsonTokens;
  readonly #keys: KeyNames;
  /** Where the last token that was changed ends. */
  #changedTo = 0;

  constructor(text: Buffer, needles: NeedleSet, judge: Judge, raw: Scanner, counts: RedactionCounts) {
    this.#counts = counts;
    this.#text = text;
    this.#needles = needles;
    this.#raw = raw;
    this.#tokens = new JsonTokens(text);
    this.edits = new JsonEdits(text);
    this.#search = {
      needles,
      finder: new CredentialFinder(judge, new Allowance()),
      edits: this.edits,
      counts,
    };
    this.#keys = new KeyNames(text, this.edits);
  }

  /** Goes on for about `bytes`; true when the document is done. */
  advance(bytes: number): boolean {
    const stop = this.#tokens.end + bytes;
    while (this.#tokens.end < stop) {
      switch (this.#tokens.next()) {
        case "open-object":
          this.#keys.open();
          break;
        case "close-object":
          this.#keys.close();
          break;
        case "key": {
          const firstEdit = this.edits.count;
          this.#string();
          this.#keys.key(this.#tokens.start, this.#tokens.end, firstEdit);
          break;
        }
        case "string":
          this.#string();
          break;
        case "number":
          this.#number();
          break;
        case "end":
          this.#dropRegionsBefore(this.#text.length);
          return true;
      }
    }
    return false;
  }

  #string(): void {
    const { start, end, hasEscapes } = this.#tokens;
    const crossing = this.#crossing(start - 1, end + 1, start, end);
    if (crossing) {
      this.edits.add(start, end, JSON.stringify(crossing.marker).slice(1, -1));
      this.#counts.add(this.#needles.names[crossing.source] ?? "");
      return;
    }
    if (!hasEscapes && !this.#hasRegionBefore(end) && !this.#hasHitBefore(end)) return;
    stringEdits(this.#text, start, end, hasEscapes, this.#raw, this.#search);
    this.#changedTo = end;
  }

  #number(): void {
    const { start, end } = this.#tokens;
    this.#dropRegionsBefore(start);
    let found: NumberNeedle | undefined;
    if (this.#hasRegionBefore(end)) found = this.#needleOf(this.#raw.head);
    else if (this.#needles.numbers.size > 0 && end - start >= MIN_NUMBER_BYTES) {
      found = this.#needles.numbers.get(Math.abs(Number(this.#text.toString("latin1", start, end))));
    }
    if (!found) return;
    this.edits.add(start, end, JSON.stringify(found.marker));
    this.#counts.add(this.#needles.names[found.source] ?? "");
    this.#changedTo = end;
  }

  /** The needle of a raw region that touches the token but does not lie within its inside. */
  #crossing(outerStart: number, outerEnd: number, start: number, end: number): Needle | undefined {
    this.#dropRegionsBefore(outerStart);
    const { starts, ends, head } = this.#raw;
    for (let at = head; at < starts.length && (starts[at] as number) < outerEnd; at++) {
      if ((starts[at] as number) < start || (ends[at] as number) > end) {
        this.#changedTo = outerEnd;
        return this.#needleOf(at);
      }
    }
    return undefined;
  }

  #hasRegionBefore(end: number): boolean {
    return (this.#raw.starts[this.#raw.head] ?? end) < end;
  }

  #hasHitBefore(end: number): boolean {
    return this.#raw.hits.beginBefore(end);
  }

  #needleOf(region: number): Needle {
    return this.#needles.needles[this.#raw.patterns[region] as number] as Needle;
  }

  /** A secret that is made of brackets, commas and literals only cannot be taken out of a document. */
  #dropRegionsBefore(position: number): void {
    const raw = this.#raw;
    while ((raw.ends[raw.head] ?? position + 1) <= position) {
      if ((raw.starts[raw.head] as number) >= this.#changedTo) {
        throw outputWithheld("a secret stands in the structure of its JSON, where it cannot be replaced");
      }
      raw.shift();
    }
  }
}

function notJson(): AirlockError {
  return outputWithheld("it is not valid JSON");
}

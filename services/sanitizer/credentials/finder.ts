import { isUtf8 } from "node:buffer";
import { Fifo } from "#common/event-loop/fifo.ts";
import { markerFor } from "#common/redaction/markers.ts";
import type { Hit, Hits } from "#common/redaction/matching/hits.ts";
import type { Allowance } from "./allowance.ts";
import { CONTEXT_BYTES, FORMATS_OF, type Format, WORD_AND_HYPHEN } from "./formats.ts";
import type { Judge, RuleName } from "./rules.ts";
import { ShapeWalk, type Stretch } from "./shape.ts";

/**
 * The position of an unknown credential: a text that has the form of a credential and is no secret of the
 * project.
 */
export type Credential = {
  readonly start: number;
  readonly end: number;
  /**
   * The position at which the first of several overlapping credentials ends; the same as `end` when none
   * overlap. The marker shows the last characters of this first credential.
   */
  readonly firstEnd: number;
  /**
   * The name under which redactions of this credential are counted. Names of a project's secrets have no
   * colon, so that the two kinds of names cannot be confused.
   */
  readonly name: `unknown:${Format["rule"]}`;
};

type Candidate = { readonly format: Format; readonly start: number; readonly walk: ShapeWalk };

/**
 * Finds unknown credentials in a text that arrives in pieces. A search begins at each trigger, a short prefix
 * of credentials such as `ghp_` or `://`.
 */
export class CredentialFinder {
  /**
   * Credentials that were found, until the user of the finder removes them from this list; sorted by
   * position, without overlaps.
   */
  readonly found: Credential[] = [];
  readonly #open = new Fifo<Candidate>();
  readonly #judge: Judge;
  readonly #allowance: Allowance;

  constructor(judge: Judge, allowance: Allowance) {
    this.#judge = judge;
    this.#allowance = allowance;
  }

  /**
   * The position of the first candidate (a text that begins like a credential) about which the text so far
   * does not decide; undefined when there is none.
   */
  get openFrom(): number | undefined {
    return this.#open.first?.start;
  }

  /**
   * The position from which text must be held back, because an undecided candidate may make it part of a
   * credential; Infinity when there is no undecided candidate.
   */
  get holdFrom(): number {
    let first = Number.POSITIVE_INFINITY;
    for (const { format, start, walk } of this.#open) {
      first = Math.min(first, format.isToken ? start : walk.holdFrom);
    }
    return first;
  }

  /**
   * Starts a candidate at each trigger (prefix of a credential) that begins before the end of `text`, and
   * removes these triggers from `hits`, the triggers that the scanner has found. Triggers that begin before
   * `from` are ignored.
   */
  search(hits: Hits, from: number, text: Stretch): void {
    this.settle(text, false);
    const end = text.from + text.bytes.length;
    for (let hit = hits.takeBefore(end); hit; hit = hits.takeBefore(end)) {
      if (hit.start >= from) this.#follow(hit, text);
    }
  }

  #follow({ start, end, trigger }: Hit, text: Stretch): void {
    const before = text.bytes[start - 1 - text.from];
    const next = text.bytes[end - text.from];
    for (const format of FORMATS_OF[trigger] as readonly Format[]) {
      if (format.isToken && continuesWord(before)) continue;
      const first = format.shape[0];
      if (first && first.min > 0 && next !== undefined && first.bytes[next] === 0) continue;
      const candidate = { format, start, walk: new ShapeWalk(format.shape, end) };
      // A candidate is decided here only when every earlier candidate has been decided. The limited questions
      // to the rules are then used in the order of the text, however the text is split into pieces.
      if (this.openFrom === undefined && this.#isSettled(candidate, text, false)) continue;
      if (isPreceded(candidate, text)) this.#open.push(candidate);
    }
  }

  /**
   * Decides the waiting candidates in order, up to the first that needs more bytes than `text` has. When the
   * text `ended`, all candidates are decided. `text` must begin CONTEXT_BYTES before the first undecided
   * candidate.
   */
  settle(text: Stretch, ended: boolean): void {
    for (let first = this.#open.first; first; first = this.#open.first) {
      if (!this.#isSettled(first, text, ended)) return;
      this.#open.shift();
    }
  }

  #isSettled(candidate: Candidate, text: Stretch, ended: boolean): boolean {
    const outcome = candidate.walk.advance(text, ended);
    if (outcome === "open") return false;
    if (outcome !== "refused") this.#examine(candidate, text, outcome === "overlong");
    return true;
  }

  #examine(candidate: Candidate, text: Stretch, overlong: boolean): void {
    if (!isPreceded(candidate, text)) return;
    const { format, start, walk } = candidate;
    const isJudged = !overlong && !format.isUnjudged && this.#allowance.take(start);
    if (isJudged && !isReported(this.#judge, format.rule, text, start, walk.at)) return;
    if (format.isToken) this.#mark(start, walk.at, format.rule);
    else this.#mark(walk.secretFrom ?? start, walk.secretTo, format.rule);
  }

  #mark(start: number, end: number, rule: Format["rule"]): void {
    const { found } = this;
    let at = found.length;
    while (at > 0 && (found[at - 1] as Credential).end > start) at--;
    let marked: Credential = { start, end, firstEnd: end, name: `unknown:${rule}` };
    let overlapping = 0;
    for (let next = found[at]; next && next.start < end; next = found[at + overlapping]) {
      const first = next.start < marked.start ? next : marked;
      marked = { ...first, end: Math.max(marked.end, next.end) };
      overlapping++;
    }
    found.splice(at, overlapping, marked);
  }
}

/**
 * The marker that replaces a credential. `bytes` is a part of the text that contains the credential, and begins
 * at position `from` of the text.
 */
export function markerOf({ start, firstEnd }: Credential, { bytes, from }: Stretch): string {
  return markerFor(Buffer.from(bytes.subarray(start - from, firstEnd - from)).toString());
}

function latin1({ bytes, from }: Stretch, start: number, end: number): string {
  return Buffer.from(bytes.subarray(start - from, end - from)).toString("latin1");
}

/**
 * Whether the text directly before the candidate matches the pattern `after` of its format. True when the
 * format has no such pattern.
 */
function isPreceded({ format, start }: Candidate, text: Stretch): boolean {
  if (!format.after) return true;
  return format.after.test(latin1(text, Math.max(text.from, start - CONTEXT_BYTES), start));
}

/**
 * Whether the rule of secretlint reports a credential in the bytes from `start` to `end`. The rule also sees
 * up to CONTEXT_BYTES before these bytes, and one byte after them.
 */
function isReported(
  judge: Judge,
  rule: RuleName,
  { bytes, from }: Stretch,
  start: number,
  end: number,
): boolean {
  const context = decode(bytes.subarray(Math.max(0, start - CONTEXT_BYTES - from), start - from));
  // The rule gets one byte after the candidate, because some rules check that the credential ends there.
  const text =
    context + decode(bytes.subarray(start - from, end - from)) + latin1({ bytes, from }, end, end + 1);
  return judge(rule, text).some(([, reportedTo]) => reportedTo > context.length);
}

/** Decodes bytes as UTF-8, from the first whole character on; as Latin-1 when they are not UTF-8. */
function decode(bytes: Uint8Array): string {
  let first = 0;
  while (((bytes[first] ?? 0) & 0xc0) === 0x80) first++;
  const whole = Buffer.from(bytes.subarray(first));
  return whole.toString(isUtf8(whole) ? "utf8" : "latin1");
}

/**
 * Whether a text begins in the middle of a word, because `before`, the byte before the text, belongs to a word
 * (a hyphen counts). False when `before` is undefined: no byte stands before the text.
 */
export function continuesWord(before: number | undefined): boolean {
  return before !== undefined && WORD_AND_HYPHEN[before] === 1;
}

import type { RedactionCounts } from "#common/redaction/redaction-counts.ts";
import type { SecondPass, Triggers } from "#common/redaction/text-redactor.ts";
import { Allowance } from "./allowance.ts";
import { CredentialFinder, continuesWord, markerOf } from "./finder.ts";
import { CONTEXT_BYTES, LONGEST_TRIGGER } from "./formats.ts";
import type { Judge } from "./rules.ts";

/**
 * Bytes that are kept of text that has already been released, because the next byte may complete a trigger
 * (the prefix of a credential) that began there, and the credential's format also checks the text before the
 * trigger.
 */
const LOOK_BACK_BYTES = LONGEST_TRIGGER + CONTEXT_BYTES;

/**
 * Replaces unknown credentials by markers in a text that arrives in pieces. Text is held back only while it
 * could be the beginning of a credential.
 */
export class CredentialPass implements SecondPass {
  readonly #finder: CredentialFinder;
  readonly #counts: RedactionCounts;
  /** The last bytes of the text so far: those held back, and LOOK_BACK_BYTES before them. */
  #tail: Uint8Array = new Uint8Array();
  /** The position in the text of the first byte of `#tail`. */
  #tailFrom = 0;
  /**
   * The position in the text directly after the last redacted secret. Triggers before it are ignored, because
   * no credential spans a redacted secret.
   */
  #stretchFrom = 0;
  /** The position up to which the text has been released or replaced by a marker. */
  #done = 0;

  constructor(judge: Judge, counts: RedactionCounts) {
    this.#finder = new CredentialFinder(judge, new Allowance());
    this.#counts = counts;
  }

  text(bytes: Uint8Array, from: number, { hits, triggerFrom }: Triggers, pieces: Uint8Array[]): void {
    const end = from + bytes.length;
    if (this.#tail.length === 0) {
      this.#tailFrom = from;
      this.#stretchFrom = from;
      this.#done = from;
    }
    const isQuiet =
      this.#done === from &&
      this.#finder.openFrom === undefined &&
      triggerFrom >= end &&
      !hits.beginBefore(end);
    if (isQuiet && bytes.length >= LOOK_BACK_BYTES) {
      pieces.push(bytes);
      this.#done = end;
      this.#keep(bytes, from, end);
      return;
    }
    const text = { bytes: Buffer.concat([this.#tail, bytes]), from: this.#tailFrom };
    this.#finder.search(hits, this.#stretchFrom, text);
    const mayBegin = triggerFrom < end && !continuesWord(text.bytes[triggerFrom - 1 - text.from]);
    this.#release(text.bytes, Math.min(end, this.#finder.holdFrom, mayBegin ? triggerFrom : end), pieces);
    this.#keep(text.bytes, text.from, Math.min(this.#done, this.#finder.openFrom ?? end));
  }

  gap(pieces: Uint8Array[]): void {
    this.#finder.settle({ bytes: this.#tail, from: this.#tailFrom }, true);
    this.#release(this.#tail, this.#tailFrom + this.#tail.length, pieces);
    this.#tail = new Uint8Array();
  }

  end(cut: boolean, pieces: Uint8Array[]): number {
    if (!cut || this.#finder.openFrom === undefined) {
      this.gap(pieces);
      return 0;
    }
    const end = this.#tailFrom + this.#tail.length;
    this.#release(this.#tail, Math.min(end, this.#finder.holdFrom), pieces);
    return end - this.#done;
  }

  /**
   * Adds the text up to the position `settled` to `pieces`, with markers in place of credentials. Stops
   * before a credential that reaches beyond `settled`, because that credential may still grow.
   */
  #release(bytes: Uint8Array, settled: number, pieces: Uint8Array[]): void {
    const plain = (to: number) => {
      if (to > this.#done) pieces.push(bytes.subarray(this.#done - this.#tailFrom, to - this.#tailFrom));
      this.#done = Math.max(this.#done, to);
    };
    const { found } = this.#finder;
    const complete = found.filter(({ end }) => end <= settled);
    for (const credential of complete) {
      plain(credential.start);
      pieces.push(Buffer.from(markerOf(credential, { bytes, from: this.#tailFrom })));
      this.#counts.add(credential.name);
      this.#done = credential.end;
    }
    found.splice(0, complete.length);
    plain(Math.min(settled, found[0]?.start ?? settled));
  }

  #keep(bytes: Uint8Array, from: number, neededFrom: number): void {
    this.#tailFrom = Math.max(from, neededFrom - LOOK_BACK_BYTES);
    // The tail is copied, because a view of a few bytes would keep the whole received message in memory.
    this.#tail = Buffer.from(bytes.subarray(this.#tailFrom - from));
  }
}

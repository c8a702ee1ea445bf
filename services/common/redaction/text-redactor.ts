import { markerShowing, PLAIN_MARKER } from "./markers.ts";
import type { Shown } from "./matching/regions.ts";
import { Scanner } from "./matching/scanner.ts";
import type { NeedleSet } from "./needles/needle-set.ts";
import type { Needle } from "./needles/needles.ts";
import { RedactionCounts } from "./redaction-counts.ts";

/**
 * A second search, for unknown credentials, of the text between the needles. The redacted text is added to
 * `pieces`, in order.
 */
export type SecondPass = {
  /**
   * Searches the next part of the text, which begins at the position `from` of the whole text, and removes
   * the triggers (prefixes of credentials) that it needs from `triggers`.
   */
  text(bytes: Uint8Array, from: number, triggers: Triggers, pieces: Uint8Array[]): void;
  /**
   * Says that a needle that ends at the position `to` was redacted. The text before it and the text after it
   * do not belong together, so no credential spans them.
   */
  gap(pieces: Uint8Array[], to: number): void;
  /**
   * Ends the text. Returns the number of bytes that were dropped because the text was `cut` off and they
   * could be the beginning of a credential; 0 when it was not.
   */
  end(cut: boolean, pieces: Uint8Array[]): number;
};

/**
 * The scanner's result for the second search: the prefixes of credentials that were found (`hits`), and the
 * position from which a further prefix may have begun (`triggerFrom`).
 */
export type Triggers = Pick<Scanner, "hits" | "triggerFrom">;

/**
 * One to three characters and the end of their line. A text that ends so is not dropped at a cut, although an
 * encoded secret may begin with these characters: almost every line of a killed script ends so, and they show
 * no more than two bytes of a secret.
 */
const FEW_AT_A_LINE_END = /^[^\s]{1,3}\r?\n[ \t]{0,8}$/;

/**
 * Redacts one text that arrives in chunks. The output does not depend on how the text was cut into chunks.
 * Only the beginning of a possible match is held back, never more than the longest needle, and the text that
 * the second search holds back.
 */
export class TextRedactor {
  readonly #needles: NeedleSet;
  readonly #scanner: Scanner;
  /** The position up to which text has been returned or redacted. */
  #done = 0;
  /** The bytes from the position `#heldFrom` on that came with earlier chunks and are still needed. */
  #held: Uint8Array = new Uint8Array();
  #heldFrom = 0;
  readonly #counts: RedactionCounts;
  readonly #second: SecondPass | undefined;

  constructor(needles: NeedleSet, counts = new RedactionCounts(), second?: SecondPass) {
    this.#needles = needles;
    this.#counts = counts;
    this.#second = second;
    this.#scanner = new Scanner(needles);
  }

  /**
   * Takes the next bytes and returns the redacted text that further bytes cannot change. The returned pieces
   * may share memory with `chunk`.
   */
  push(chunk: Uint8Array): Uint8Array[] {
    const scanner = this.#scanner;
    const chunkFrom = scanner.received;
    scanner.scan(chunk);
    const pieces: Uint8Array[] = [];
    const heldFrom = this.#release(scanner.settled, chunk, chunkFrom, pieces);
    const held: Uint8Array[] = [];
    this.#slice(heldFrom, scanner.received, chunk, chunkFrom, held);
    // The held bytes are copied, because a view of a few bytes would keep the whole received message in
    // memory.
    this.#held = Buffer.concat(held);
    this.#heldFrom = heldFrom;
    return pieces;
  }

  /**
   * Ends the text and returns the rest of the redacted text. When the text was `cut` off, bytes that could be
   * the beginning of a secret are dropped and counted in `droppedBytes`.
   */
  end(cut: boolean): { readonly pieces: Uint8Array[]; readonly droppedBytes: number } {
    const pieces: Uint8Array[] = [];
    const droppedFirst = this.#endNeedles(cut, pieces);
    const droppedNext = this.#second?.end(cut, pieces) ?? 0;
    return { pieces, droppedBytes: droppedFirst + droppedNext };
  }

  #endNeedles(cut: boolean, pieces: Uint8Array[]): number {
    const { received } = this.#scanner;
    const none = new Uint8Array();
    if (!cut) {
      this.#scanner.finish();
      this.#release(received, none, received, pieces);
      return 0;
    }
    const { settled, regions } = this.#scanner;
    const keptFrom = this.#release(settled, none, received, pieces);
    const { starts, head, patterns, shown } = regions;
    const start = starts[head];
    // A region that began before `settled` is a whole secret already, so it is replaced, even if another
    // secret may begin inside it.
    if (start !== undefined && start < settled) {
      this.#replace(patterns[head] as number, shown[head], settled, pieces);
      return received - keptFrom;
    }
    const kept: Uint8Array[] = [];
    this.#slice(keptFrom, received, none, received, kept);
    if (!this.#mayStayAtCut(Buffer.concat(kept))) return received - keptFrom;
    this.#plain(received, none, received, pieces);
    this.#done = received;
    return 0;
  }

  /**
   * Whether a text with which a secret may begin is a line's end that shows little of an encoded secret. False
   * when a secret as it is written may begin within the text.
   */
  #mayStayAtCut(text: Buffer): boolean {
    if (!FEW_AT_A_LINE_END.test(text.toString("latin1"))) return false;
    const ends = Array.from(text, (_, from) => text.subarray(from));
    return !this.#needles.needles.some(({ bytes }) =>
      ends.some((end) => end.equals(bytes.subarray(0, end.length))),
    );
  }

  /**
   * Adds the redacted text up to `settled` to `pieces`, and returns the position from which bytes are still
   * needed. `settled` is the position before which no match can begin or change any more.
   */
  #release(settled: number, chunk: Uint8Array, chunkFrom: number, pieces: Uint8Array[]): number {
    const { regions } = this.#scanner;
    const plain = (to: number) => {
      if (to <= this.#done) return;
      this.#plain(to, chunk, chunkFrom, pieces);
      this.#done = to;
    };
    while (regions.head < regions.starts.length) {
      const start = regions.starts[regions.head] as number;
      const end = regions.ends[regions.head] as number;
      if (start >= settled) break;
      plain(start);
      // Another match may still begin inside this region and make it longer.
      if (end > settled) return end;
      this.#replace(regions.patterns[regions.head] as number, regions.shown[regions.head], end, pieces);
      this.#done = end;
      regions.shift();
    }
    plain(settled);
    return Math.max(settled, this.#done);
  }

  #plain(to: number, chunk: Uint8Array, chunkFrom: number, pieces: Uint8Array[]): void {
    const parts: Uint8Array[] = [];
    this.#slice(this.#done, to, chunk, chunkFrom, parts);
    let from = this.#done;
    for (const part of parts) {
      if (this.#second) this.#second.text(part, from, this.#scanner, pieces);
      else pieces.push(part);
      from += part.length;
    }
  }

  #slice(from: number, to: number, chunk: Uint8Array, chunkFrom: number, pieces: Uint8Array[]): void {
    if (from < Math.min(to, chunkFrom)) {
      pieces.push(this.#held.subarray(from - this.#heldFrom, Math.min(to, chunkFrom) - this.#heldFrom));
    }
    const inChunk = Math.max(from, chunkFrom);
    if (inChunk < to) pieces.push(chunk.subarray(inChunk - chunkFrom, to - chunkFrom));
  }

  #replace(pattern: number, shown: Shown, to: number, pieces: Uint8Array[]): void {
    const needle = this.#needles.needles[pattern] as Needle;
    const { source } = needle;
    this.#second?.gap(pieces, to);
    pieces.push(shown ? Buffer.from(markerAsWritten(shown)) : needle.replacement);
    this.#counts.add(this.#needles.names[source] ?? "");
  }
}

/**
 * A marker with the last characters of a secret as the script wrote them, with escapes, so that the text
 * around the marker stays well-formed. Shows no characters when they cannot be printed.
 */
export function markerAsWritten(shown: Uint8Array): string {
  const text = Buffer.from(shown).toString();
  return text === "" || /[\p{C}\p{Zl}\p{Zp}\ufffd]/u.test(text) ? PLAIN_MARKER : markerShowing(text);
}

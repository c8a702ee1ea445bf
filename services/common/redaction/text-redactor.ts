import { markerShowing, PLAIN_MARKER } from "./markers.ts";
import type { Shown } from "./matching/regions.ts";
import { Scanner } from "./matching/scanner.ts";
import type { NeedleSet } from "./needles/needle-set.ts";
import type { Needle } from "./needles/needles.ts";
import { RedactionCounts } from "./redaction-counts.ts";

/** Looks once more at the text between the needles. What may leave goes into `pieces`, in order. */
export type SecondPass = {
  /** Text from this position on. It takes what it needs of the triggers that were found in it, or begin in it. */
  text(bytes: Uint8Array, from: number, triggers: Triggers, pieces: Uint8Array[]): void;
  /** A needle stood here, up to the position `to`; what comes next is not of one piece with what was before. */
  gap(pieces: Uint8Array[], to: number): void;
  /** Ends the text; returns how many bytes were dropped because it was `cut`. */
  end(cut: boolean, pieces: Uint8Array[]): number;
};

export type Triggers = Pick<Scanner, "hits" | "triggerFrom">;

/**
 * Redacts one text as it streams by: the same bytes come out however they were cut into chunks. Only the
 * beginning of a possible match is held back, never more than the longest needle, and what the second pass holds.
 */
export class TextRedactor {
  readonly #needles: NeedleSet;
  readonly #scanner: Scanner;
  /** All before this position has left, or is covered by the region that is still open. */
  #done = 0;
  /** The bytes from `#heldFrom` on, which came with earlier chunks and are still needed. */
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

  /** Takes the next bytes and returns what is certain by now. The pieces may share memory with `chunk`. */
  push(chunk: Uint8Array): Uint8Array[] {
    const scanner = this.#scanner;
    const chunkFrom = scanner.received;
    scanner.scan(chunk);
    const pieces: Uint8Array[] = [];
    const heldFrom = this.#release(scanner.settled, chunk, chunkFrom, pieces);
    const held: Uint8Array[] = [];
    this.#slice(heldFrom, scanner.received, chunk, chunkFrom, held);
    // A copy: a few held bytes must not keep a whole message in memory.
    this.#held = Buffer.concat(held);
    this.#heldFrom = heldFrom;
    return pieces;
  }

  /** Ends the text; with `cut` what could be the beginning of a secret is dropped and counted. */
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
    // A region that began earlier is a whole secret already, even if another may begin inside it.
    if (start !== undefined && start < settled)
      this.#replace(patterns[head] as number, shown[head], settled, pieces);
    return received - keptFrom;
  }

  /** Puts all that is certain up to `settled` into `pieces` and returns from where on bytes are still needed. */
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
      // A match may still begin inside this region and make it longer.
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

/** The marker with the last characters as they were written, so that what surrounds it stays well-formed. */
export function markerAsWritten(shown: Uint8Array): string {
  const text = Buffer.from(shown).toString();
  return text === "" || /[\p{C}\p{Zl}\p{Zp}\ufffd]/u.test(text) ? PLAIN_MARKER : markerShowing(text);
}

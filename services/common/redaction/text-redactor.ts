import type { NeedleSet } from "./needle-set.ts";
import type { Needle } from "./needles.ts";
import { RedactionCounts } from "./redaction-counts.ts";
import { Scanner } from "./scanner.ts";

/** Looks once more at the text between the needles. What may leave goes into `pieces`, in order. */
export type SecondPass = {
  /** Text from this position on. It takes what it needs of the triggers that were found in it, or begin in it. */
  text(bytes: Uint8Array, from: number, triggers: Triggers, pieces: Uint8Array[]): void;
  /** A needle stood here; what comes next is not of one piece with what was before. */
  gap(pieces: Uint8Array[]): void;
  /** Ends the text; returns how many bytes were dropped because it was `cut`. */
  end(cut: boolean, pieces: Uint8Array[]): number;
};

export type Triggers = Pick<Scanner, "hits" | "triggerFrom">;

/** Needles that are added may have begun in text that has left, and triggers in text that the second pass has. */
const LOOK_BACK_BYTES = 64;

/**
 * Redacts one text as it streams by: the same bytes come out however they were cut into chunks. Only the
 * beginning of a possible match is held back, never more than the longest needle, and what the second pass holds.
 */
export class TextRedactor {
  #needles: NeedleSet;
  #scanner: Scanner;
  /** All before this position has left, or is covered by the region that is still open. */
  #done = 0;
  /** The bytes from `#heldFrom` on that came with earlier chunks; those from `#keptFrom` on are still needed. */
  #held: Uint8Array = new Uint8Array();
  #heldFrom = 0;
  #keptFrom = 0;
  readonly #counts: RedactionCounts;
  readonly #second: SecondPass | undefined;

  constructor(needles: NeedleSet, counts = new RedactionCounts(), second?: SecondPass) {
    this.#needles = needles;
    this.#counts = counts;
    this.#second = second;
    this.#scanner = new Scanner(needles.automaton);
  }

  /**
   * Looks for these needles from now on, which must hold all of the earlier ones. What has left is not looked at
   * again; while a region is open, where the old needles still decide, nothing changes and it returns false.
   */
  use(needles: NeedleSet): boolean {
    if (needles === this.#needles) return true;
    const { head, starts } = this.#scanner;
    if (head < starts.length) return false;
    const kept = this.#keptFrom - this.#heldFrom;
    const scanner = new Scanner(needles.automaton);
    scanner.resume(this.#held.subarray(0, kept), this.#keptFrom);
    scanner.scan(this.#held.subarray(kept));
    this.#needles = needles;
    this.#scanner = scanner;
    return true;
  }

  /** Takes the next bytes and returns what is certain by now. The pieces may share memory with `chunk`. */
  push(chunk: Uint8Array): Uint8Array[] {
    const scanner = this.#scanner;
    const chunkFrom = scanner.position;
    scanner.scan(chunk);
    const pieces: Uint8Array[] = [];
    this.#keptFrom = this.#release(scanner.settled, chunk, chunkFrom, pieces);
    const heldFrom = Math.max(this.#heldFrom, this.#keptFrom - LOOK_BACK_BYTES);
    const held: Uint8Array[] = [];
    this.#slice(heldFrom, scanner.position, chunk, chunkFrom, held);
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
    const { position, settled } = this.#scanner;
    const none = new Uint8Array();
    if (!cut) {
      this.#release(position, none, position, pieces);
      return 0;
    }
    const keptFrom = this.#release(settled, none, position, pieces);
    const { starts, head, patterns } = this.#scanner;
    const start = starts[head];
    // A region that began earlier is a whole secret already, even if another may begin inside it.
    if (start !== undefined && start < settled) this.#replace(patterns[head] as number, pieces);
    return position - keptFrom;
  }

  /** Puts all that is certain up to `settled` into `pieces` and returns from where on bytes are still needed. */
  #release(settled: number, chunk: Uint8Array, chunkFrom: number, pieces: Uint8Array[]): number {
    const scanner = this.#scanner;
    const plain = (to: number) => {
      if (to <= this.#done) return;
      this.#plain(to, chunk, chunkFrom, pieces);
      this.#done = to;
    };
    while (scanner.head < scanner.starts.length) {
      const start = scanner.starts[scanner.head] as number;
      const end = scanner.ends[scanner.head] as number;
      if (start >= settled) break;
      plain(start);
      // A match may still begin inside this region and make it longer.
      if (end > settled) return end;
      this.#replace(scanner.patterns[scanner.head] as number, pieces);
      this.#done = end;
      scanner.shift();
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

  #replace(pattern: number, pieces: Uint8Array[]): void {
    const { replacement, source } = this.#needles.needles[pattern] as Needle;
    this.#second?.gap(pieces);
    pieces.push(replacement);
    this.#counts.add(this.#needles.names[source] ?? "");
  }
}

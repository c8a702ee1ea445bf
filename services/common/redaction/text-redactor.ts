import type { NeedleSet } from "./needle-set.ts";
import type { Needle } from "./needles.ts";
import { RedactionCounts } from "./redaction-counts.ts";
import { Scanner } from "./scanner.ts";

/**
 * Redacts one text as it streams by: the same bytes come out however they were cut into chunks. Only the
 * beginning of a possible match is held back, never more than the longest needle.
 */
export class TextRedactor {
  #needles: NeedleSet;
  #scanner: Scanner;
  /** All before this position has left, or is covered by the region that is still open. */
  #done = 0;
  /** The bytes from `#heldFrom` on that came with earlier chunks. */
  #held: Uint8Array = new Uint8Array();
  #heldFrom = 0;
  readonly #counts: RedactionCounts;

  constructor(needles: NeedleSet, counts = new RedactionCounts()) {
    this.#needles = needles;
    this.#counts = counts;
    this.#scanner = new Scanner(needles.automaton);
  }

  /**
   * Looks for these needles from now on, which must hold all of the earlier ones. What has left is not looked at
   * again; while a region is open, where the old needles still decide, nothing changes and it returns false.
   */
  use(needles: NeedleSet): boolean {
    if (needles === this.#needles) return true;
    const { head, starts, position } = this.#scanner;
    if (head < starts.length) return false;
    const scanner = new Scanner(needles.automaton);
    scanner.position = position - this.#held.length;
    scanner.scan(this.#held);
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
    const keepFrom = this.#release(scanner.settled, chunk, chunkFrom, pieces);
    const kept: Uint8Array[] = [];
    this.#slice(keepFrom, scanner.position, chunk, chunkFrom, kept);
    // A copy: a few held bytes must not keep a whole message in memory.
    this.#held = Buffer.concat(kept);
    this.#heldFrom = keepFrom;
    return pieces;
  }

  /** Ends the text; with `cut` what could be the beginning of a secret is dropped and counted. */
  end(cut: boolean): { readonly pieces: Uint8Array[]; readonly droppedBytes: number } {
    const { position, settled } = this.#scanner;
    const pieces: Uint8Array[] = [];
    const none = new Uint8Array();
    if (!cut) {
      this.#release(position, none, position, pieces);
      return { pieces, droppedBytes: 0 };
    }
    const keptFrom = this.#release(settled, none, position, pieces);
    const { starts, head, patterns } = this.#scanner;
    const start = starts[head];
    // A region that began earlier is a whole secret already, even if another may begin inside it.
    if (start !== undefined && start < settled) pieces.push(this.#replacement(patterns[head] as number));
    return { pieces, droppedBytes: position - keptFrom };
  }

  /** Puts all that is certain up to `settled` into `pieces` and returns from where on bytes are still needed. */
  #release(settled: number, chunk: Uint8Array, chunkFrom: number, pieces: Uint8Array[]): number {
    const scanner = this.#scanner;
    const plain = (to: number) => {
      this.#slice(this.#done, to, chunk, chunkFrom, pieces);
      this.#done = Math.max(this.#done, to);
    };
    while (scanner.head < scanner.starts.length) {
      const start = scanner.starts[scanner.head] as number;
      const end = scanner.ends[scanner.head] as number;
      if (start >= settled) break;
      plain(start);
      // A match may still begin inside this region and make it longer.
      if (end > settled) return end;
      pieces.push(this.#replacement(scanner.patterns[scanner.head] as number));
      this.#done = end;
      scanner.shift();
    }
    plain(settled);
    return settled;
  }

  #slice(from: number, to: number, chunk: Uint8Array, chunkFrom: number, pieces: Uint8Array[]): void {
    if (from < Math.min(to, chunkFrom)) {
      pieces.push(this.#held.subarray(from - this.#heldFrom, Math.min(to, chunkFrom) - this.#heldFrom));
    }
    const inChunk = Math.max(from, chunkFrom);
    if (inChunk < to) pieces.push(chunk.subarray(inChunk - chunkFrom, to - chunkFrom));
  }

  #replacement(pattern: number): Uint8Array {
    const { replacement, source } = this.#needles.needles[pattern] as Needle;
    this.#counts.add(this.#needles, source);
    return replacement;
  }
}

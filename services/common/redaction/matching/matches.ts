import type { Automaton } from "../automaton/automaton.ts";
import type { Gaps } from "../automaton/gaps.ts";
import { checkedBytes, isKnownBehind, type MatchCheck, meantBy } from "../needles/match-checks.ts";
import type { NeedleSet } from "../needles/needle-set.ts";
import type { Reading } from "./reading.ts";
import { Regions } from "./regions.ts";
import type { ScannedText } from "./scanned-text.ts";

/**
 * Checks whether the patterns that the automaton has found count as needles, and keeps the regions of the
 * text that must be redacted.
 */
export class Matches {
  readonly regions = new Regions();
  readonly #automaton: Automaton;
  readonly #tails: Uint8Array;
  readonly #checks: readonly MatchCheck[];
  readonly #sameBytes: readonly (readonly number[])[];
  readonly #text: ScannedText;

  constructor({ automaton, tails, checks, sameBytes }: NeedleSet, text: ScannedText) {
    this.#automaton = automaton;
    this.#tails = tails;
    this.#checks = checks;
    this.#sameBytes = sameBytes;
    this.#text = text;
  }

  /**
   * Adds the longest needle that ends at `at`, if there is one. Returns false when its check needs bytes that
   * have not arrived yet.
   */
  add(state: number, at: number, reading?: Reading): boolean {
    const { longest, lengths, gapsOf, depth, fail } = this.#automaton;
    const { position, bytes, isAll } = this.#text;
    for (let suffix = state; ; suffix = fail[suffix] as number) {
      const pattern = longest[suffix] as number;
      if (pattern === -1) return true;
      const length = lengths[pattern] as number;
      if (reading && !reading.covers(length)) return true;
      const start = reading ? reading.startOf(length) : position + at - length;
      let isNeedle = false;
      let isCovered = false;
      // The first characters of a pattern with gaps may also be those of a pattern that has none.
      const isAllowed = !reading || reading.mayBe(gapsOf[pattern] as Gaps, length);
      for (const needle of isAllowed ? (this.#sameBytes[pattern] as readonly number[]) : []) {
        const check = this.#checks[needle];
        if (check?.kind === "piece" && this.#isInPiece(check.of, start, position + at)) {
          // Another secret with the same sample may match for longer.
          isCovered = true;
          continue;
        }
        const isCompared = check && !(check.kind === "piece" && reading);
        if (isCompared && !isAll && !isKnownBehind(check, bytes, at, length)) return false;
        isNeedle = this.#note(needle, start, position + at, reading) || isNeedle;
        // All pieces of secrets that match here are noted, so that the longest counts.
        if (isNeedle && check?.kind !== "piece") return true;
      }
      if (isNeedle || isCovered) return true;
      // A shorter needle may end at the same byte, so the search goes on with the next shorter pattern.
      while ((depth[suffix] as number) > length) suffix = fail[suffix] as number;
    }
  }

  /**
   * Whether the last region is a piece of the same long secret (`of`) and contains the match, so that the
   * match adds nothing.
   */
  #isInPiece(of: Buffer, start: number, end: number): boolean {
    const last = this.#checks[this.regions.covering(start, end) ?? -1];
    return last?.kind === "piece" && last.of === of;
  }

  /** Adds a match to the regions if its check passes. */
  #note(pattern: number, start: number, end: number, reading?: Reading): boolean {
    const check = this.#checks[pattern];
    if (!check) {
      this.regions.add(start, end, pattern, reading ? this.#shown(pattern, end, reading) : undefined);
      return true;
    }
    // Pieces of a long secret are compared only as they are written, without escapes.
    if (check.kind === "piece" && reading) return false;
    const { before, behind } = checkedBytes(check);
    const meant = meantBy(check, {
      before: this.#text.slice(start - before, start),
      from: this.#text.slice(start, end + behind),
      matchBytes: end - start,
    });
    if (meant === undefined) return false;
    this.regions.add(start, start + meant.bytes, meant.needle ?? pattern, undefined);
    return true;
  }

  /**
   * The last characters of a match as they were written; undefined when they were written without escapes.
   */
  #shown(pattern: number, end: number, reading: Reading): Uint8Array | undefined {
    const tail = this.#tails[pattern] as number;
    const from = reading.startOf(tail);
    if (tail === 0 || end - from === tail) return undefined;
    const shown = this.#text.slice(from, end);
    return shown.length === end - from ? Buffer.from(shown) : new Uint8Array();
  }
}

import type { Automaton } from "../automaton/automaton.ts";
import { MANY, type SingleEscapes } from "../automaton/single-escape.ts";

/**
 * Characters after an escape that are examined before the scanner starts a reading, in which the escape is
 * replaced by what it stands for.
 */
const LOOK_AHEAD = 4;

const [ZERO, X] = [0x30, 0x78];

/**
 * Tells whether a reading (the text with an escape replaced by what it stands for) ends within the next few
 * characters, because no needle then reaches back to the escape. The scanner does not start such a reading,
 * which saves most readings.
 */
export class LookAhead {
  readonly #automaton: Automaton;
  readonly #singles: SingleEscapes;

  /**
   * `singles` is also used by the scanner. A look-ahead changes its `next`, so the scanner must copy `next`
   * before.
   */
  constructor(automaton: Automaton, singles: SingleEscapes) {
    this.#automaton = automaton;
    this.#singles = singles;
  }

  /**
   * Whether a reading that continues at the offset `at` in the automaton's state `from` ends soon. The next
   * few characters are followed, as they are or as common escapes. The reading ends soon when the longest
   * possible match of a needle then has fewer than `left` characters from before `at`.
   */
  endsSoon(bytes: Uint8Array, from: number, at: number, left: number): boolean {
    const { longest, step, depth, introduces, isAnyGap, gaps } = this.#automaton;
    let state = from;
    let place = at;
    for (let ahead = 0; ahead < LOOK_AHEAD; ahead++) {
      const byte = bytes[place];
      if (byte === undefined || longest[state] !== -1) return false;
      const most = left + ahead;
      if (introduces[byte] === 0) {
        if (isAnyGap[byte] === 1) return false;
        if (byte === ZERO && (place + 1 === bytes.length || bytes[place + 1] === X)) return false;
        state = step(state, byte);
        place++;
      } else {
        const code = this.#singles.read(bytes, place);
        if (code === MANY || code >= 0x80) return false;
        // The escape's first byte, as it is written, must not continue a needle either.
        const raw = step(state, byte);
        if ((depth[raw] as number) > most) return false;
        if (code >= 0) {
          if (isAnyGap[code] === 1 && gaps.some(({ states }) => states[state] !== 0)) return false;
          state = step(state, code);
          place = this.#singles.next;
        } else {
          state = raw;
          place++;
        }
      }
      if ((depth[state] as number) <= most) return true;
    }
    return false;
  }
}

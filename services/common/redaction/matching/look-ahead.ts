import type { Automaton } from "../automaton/automaton.ts";
import { MANY, type SingleEscapes } from "../automaton/single-escape.ts";

/** Characters that are looked ahead before an escape is read as what it stands for. */
const LOOK_AHEAD = 4;

const [ZERO, X] = [0x30, 0x78];

/** Tells whether a reading would end within the next few characters, so that it need not be started. This saves most readings. */
export class LookAhead {
  readonly #automaton: Automaton;
  readonly #singles: SingleEscapes;

  /** `singles` is shared with the scanner: after a look-ahead, its offset is another than before. */
  constructor(automaton: Automaton, singles: SingleEscapes) {
    this.#automaton = automaton;
    this.#singles = singles;
  }

  /**
   * Whether a reading that continues at the offset `at` in the state `from` ends soon. The next few characters, as they
   * are or as common escapes, are followed. The reading ends soon when no more than `left` characters besides these
   * remain of what it follows.
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
        // The byte as it is written must not continue a needle either.
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

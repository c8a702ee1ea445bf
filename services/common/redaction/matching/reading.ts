import type { Automaton } from "../automaton/automaton.ts";
import { type Gaps, joined, mayHave, NO_GAP, type Skip } from "../automaton/gaps.ts";
import { MAX_SHOWN_BYTES } from "../markers.ts";

/**
 * An escape that was read as the characters that it stands for. `from` and `to` are its positions in the
 * text. `countFrom` and `countTo` are the same positions, counted in characters of a pattern. Both counts
 * agree up to the first escape. `skip` says in which patterns an escape that stands for no character may be.
 * `before` is the escape before this one; undefined for the first.
 */
type Escape = {
  readonly from: number;
  readonly to: number;
  readonly countFrom: number;
  readonly countTo: number;
  readonly skip: Skip;
  readonly before: Escape | undefined;
};

/**
 * One reading of a text in which a pattern may have begun: the last escape, and perhaps earlier ones, are
 * read as the characters that they stand for. The scanner itself also reads the text as it is written.
 */
export class Reading {
  /** The automaton's state after the characters of this reading up to `at`. */
  state: number;
  /** The position in the text at which the reading continues. */
  at: number;
  /** Whether the scanner has checked the patterns that end at `at`. */
  isChecked: boolean;
  readonly #escape: Escape;

  private constructor(state: number, read: Escape) {
    this.state = state;
    this.at = read.to;
    this.#escape = read;
    // Bytes that stand for no character cannot end a match, so there is nothing to check.
    this.isChecked = read.countTo === read.countFrom;
  }

  /**
   * A reading of the bytes `from` to `to` as `count` characters that lead to `state`. The text before them is
   * read as in `earlier`; without it, as it is written. `skip` is for a `count` of 0.
   */
  static of(
    state: number,
    from: number,
    to: number,
    count: number,
    earlier?: Reading,
    skip: Skip = NO_GAP,
  ): Reading {
    const countFrom = earlier ? earlier.#countAt(from) : from;
    const last = earlier ? earlier.#escape : undefined;
    // Consecutive escapes that stand for no character are stored as one escape, because every position is
    // searched from the end of the list of escapes.
    const isOneRun = count === 0 && last?.to === from && last.countTo === last.countFrom;
    const read = {
      from: isOneRun ? last.from : from,
      to,
      countFrom,
      countTo: countFrom + count,
      skip: isOneRun ? joined(last.skip, skip) : skip,
      before: isOneRun ? last.before : last,
    };
    return new Reading(state, read);
  }

  /**
   * Whether the pattern that `state` is in includes a part of the last escape. If not, the reading equals the
   * scanner's own and is dropped.
   */
  spansEscape({ depth }: Automaton): boolean {
    return (depth[this.state] as number) > this.at - this.#escape.to;
  }

  /** The number of consecutive bytes before `at` that stand for no character, such as a soft line break. */
  get nothingBytes(): number {
    const { from, to, countFrom, countTo } = this.#escape;
    return countTo === countFrom ? to - from : 0;
  }

  /** Whether the bytes right before `at` stand for no character, such as a gap (separator) or a colour. */
  get isBehindNothing(): boolean {
    const { to, countFrom, countTo } = this.#escape;
    return this.at === to && countTo === countFrom;
  }

  /** Whether the last `length` characters include a part of the last escape. */
  covers(length: number): boolean {
    return length > this.at - this.#escape.to;
  }

  /** The position in the text at which the last `length` characters begin. */
  startOf(length: number): number {
    const count = this.#countAt(this.at) - length;
    for (let read: Escape | undefined = this.#escape; read; read = read.before) {
      if (count >= read.countTo) return read.to + (count - read.countTo);
      if (count >= read.countFrom) return read.from;
      if (!read.before) return read.from - (read.countFrom - count);
    }
    return this.at;
  }

  /** Whether a pattern with these gaps, of the last `length` characters, may have what was skipped between them. */
  mayBe(gaps: Gaps, length: number): boolean {
    const start = this.#countAt(this.at) - length;
    for (let read: Escape | undefined = this.#escape; read && read.countTo > start; read = read.before) {
      if (read.countTo === read.countFrom && !mayHave(gaps, read.skip, read.countFrom - start)) return false;
    }
    return true;
  }

  #countAt(at: number): number {
    return this.#escape.countTo + (at - this.#escape.to);
  }
}

/**
 * The most readings of a text that are followed at one position, which is more than any encoder makes. When
 * there are more, those with the longest matches are followed.
 */
const MAX_READINGS = 16;

/**
 * Removes the readings at `position` that another reading includes, and, if more than MAX_READINGS are left,
 * those with the shortest matches.
 */
export function prunedReadings(
  automaton: Automaton,
  readings: readonly Reading[],
  position: number,
): Reading[] {
  const lengthOf = ({ state }: Reading) => automaton.depth[state] as number;
  const includes = (other: Reading, reading: Reading) => {
    if (other === reading || other.at !== position) return false;
    if (!isSuffixState(automaton, reading.state, other.state)) return false;
    // The reading that begins earlier covers more of the text, if both are in one state. It includes the
    // other reading only if no shorter match begins later in it, because it may have read the beginning of a
    // shorter match in another way.
    let isSame = reading.state === other.state;
    // A marker shows the last characters as they are written, by the reading that takes the fewest bytes for them.
    for (let length = 1; length <= MAX_SHOWN_BYTES; length++) {
      const [start, otherStart] = [reading.startOf(length), other.startOf(length)];
      if (otherStart < start) return false;
      if (otherStart > start) isSame = false;
    }
    for (let suffix = reading.state; suffix > 0; suffix = automaton.fail[suffix] as number) {
      const length = automaton.depth[suffix] as number;
      const [start, otherStart] = [reading.startOf(length), other.startOf(length)];
      if (otherStart > start) return false;
      if (otherStart < start) isSame = false;
    }
    return !isSame || readings.indexOf(other) < readings.indexOf(reading);
  };
  const kept = readings.filter(
    (reading) => reading.at !== position || !readings.some((other) => includes(other, reading)),
  );
  if (kept.length <= MAX_READINGS) return kept;
  return kept.sort((a, b) => lengthOf(b) - lengthOf(a)).slice(0, MAX_READINGS);
}

/** Whether the bytes of `state` are the end of the bytes of `other`. */
function isSuffixState({ depth, fail }: Automaton, state: number, other: number): boolean {
  const length = depth[state] as number;
  let longer = other;
  while ((depth[longer] as number) > length) longer = fail[longer] as number;
  return longer === state;
}

/**
 * Advances the first `count` readings, if they stand at `position`, by the byte `byte` of the text. Removes
 * those whose pattern no longer reaches back into an escape, because the scanner reads them as well.
 */
export function stepReadings(
  readings: Reading[],
  count: number,
  byte: number,
  position: number,
  automaton: Automaton,
): void {
  let kept = 0;
  for (let index = 0; index < readings.length; index++) {
    const reading = readings[index] as Reading;
    if (index < count && reading.at === position) {
      reading.state = automaton.step(reading.state, byte);
      reading.at++;
      reading.isChecked = false;
      if (!reading.spansEscape(automaton)) continue;
    }
    readings[kept++] = reading;
  }
  if (kept < readings.length) readings.length = kept;
}

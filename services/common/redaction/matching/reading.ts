import type { Automaton } from "../automaton/automaton.ts";

/**
 * An escape that was read as what it stands for. `from` and `to` are its positions in the text. `countFrom`
 * and `countTo` are the same positions, counted in characters of a pattern. Both counts agree up to the first
 * escape. `before` is the escape before this one.
 */
type Escape = {
  readonly from: number;
  readonly to: number;
  readonly countFrom: number;
  readonly countTo: number;
  readonly before: Escape | undefined;
};

/**
 * One reading of a text in which a pattern may have begun. The last escape, and perhaps earlier ones, are
 * read as what they stand for. The scanner itself reads the text as it is written.
 */
export class Reading {
  state: number;
  /** The position at which the reading continues. */
  at: number;
  /** Whether the patterns that end at `at` have been checked. */
  isChecked: boolean;
  readonly #escape: Escape;

  private constructor(state: number, read: Escape) {
    this.state = state;
    this.at = read.to;
    this.#escape = read;
    // Bytes that stand for nothing cannot end a match.
    this.isChecked = read.countTo === read.countFrom;
  }

  /**
   * A reading of the bytes `from` to `to` as `count` characters that lead to `state`. The text before them is
   * read as in `earlier`; without it, as it is written.
   */
  static of(state: number, from: number, to: number, count: number, earlier?: Reading): Reading {
    const countFrom = earlier ? earlier.#countAt(from) : from;
    const last = earlier ? earlier.#escape : undefined;
    // Consecutive escapes that stand for nothing are stored as one, because every position is searched from
    // the end of the list.
    const isOneRun = count === 0 && last?.to === from && last.countTo === last.countFrom;
    const read = {
      from: isOneRun ? last.from : from,
      to,
      countFrom,
      countTo: countFrom + count,
      before: isOneRun ? last.before : last,
    };
    return new Reading(state, read);
  }

  /**
   * Whether the bytes of `state` include a part of the last escape. If not, the reading equals that of the
   * scanner.
   */
  spansEscape({ depth }: Automaton): boolean {
    return (depth[this.state] as number) > this.at - this.#escape.to;
  }

  /** The number of consecutive bytes before `at` that stand for nothing. */
  get nothingBytes(): number {
    const { from, to, countFrom, countTo } = this.#escape;
    return countTo === countFrom ? to - from : 0;
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

  #countAt(at: number): number {
    return this.#escape.countTo + (at - this.#escape.to);
  }
}

/**
 * The number of readings that are followed at one place, which is more than any encoder makes. Of more, those
 * with the longest matches are followed.
 */
const MAX_READINGS = 16;

/**
 * Removes the readings at `position` that another reading includes, and, if there are too many, those with
 * the shortest matches.
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
    // The earlier of two readings in one state covers more of the text. It includes the other only if no shorter match
    // begins later in it, because it may have read the beginning of a shorter match in another way.
    let isSame = reading.state === other.state;
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
 * Advances the first `count` readings that stand at `position` by `byte`, and removes those that no longer reach back
 * into an escape.
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

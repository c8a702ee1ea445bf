import type { Automaton } from "../automaton/automaton.ts";

/**
 * Where an escape was read as what it stands for: its place in the text, and the same in characters as a pattern counts
 * them. Both counts agree up to the first escape.
 */
type Escape = {
  readonly from: number;
  readonly to: number;
  readonly countFrom: number;
  readonly countTo: number;
  readonly before: Escape | undefined;
};

/**
 * One way to read the text in which a pattern may be on its way: with the last escape, and perhaps others before, read as
 * what they stand for. The text as it is written is read by the scanner itself.
 */
export class Reading {
  state: number;
  /** Where in the text it goes on. */
  at: number;
  /** Whether the patterns that end at `at` were looked at. */
  isChecked: boolean;
  readonly #escape: Escape;

  private constructor(state: number, read: Escape) {
    this.state = state;
    this.at = read.to;
    this.#escape = read;
    // Bytes that stand for nothing end no match.
    this.isChecked = read.countTo === read.countFrom;
  }

  /** Reads the bytes `from` to `to` as `count` characters that led to `state`; what was before is read as `earlier` does. */
  static of(state: number, from: number, to: number, count: number, earlier?: Reading): Reading {
    const countFrom = earlier ? earlier.#countAt(from) : from;
    const last = earlier ? earlier.#escape : undefined;
    // A run of what stands for nothing is one escape, because each place is looked for from the end of the list.
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

  /** Whether what `state` stands for reaches back beyond the last escape; without it this is no reading of its own. */
  spansEscape({ depth }: Automaton): boolean {
    return (depth[this.state] as number) > this.at - this.#escape.to;
  }

  /** How many bytes in a row stand for nothing, up to where the reading goes on. */
  get nothingBytes(): number {
    const { from, to, countFrom, countTo } = this.#escape;
    return countTo === countFrom ? to - from : 0;
  }

  /** Whether the last `length` characters reach back beyond the last escape. */
  covers(length: number): boolean {
    return length > this.at - this.#escape.to;
  }

  /** Where the last `length` characters begin in the text. */
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

/** More ways to read one place than any encoder makes; of more, the longest matches are followed. */
const MAX_READINGS = 16;

/** Without the readings at `position` that others include, and of too many those with the shortest matches. */
export function prunedReadings(
  automaton: Automaton,
  readings: readonly Reading[],
  position: number,
): Reading[] {
  const lengthOf = ({ state }: Reading) => automaton.depth[state] as number;
  const includes = (other: Reading, reading: Reading) => {
    if (other === reading || other.at !== position) return false;
    if (!isSuffixState(automaton, reading.state, other.state)) return false;
    // Of two that have read the same, the one that began earlier takes more of the text with it, but it may have read what a
    // shorter match begins with in another way.
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

/** Whether all that `state` stands for is also the end of what `other` stands for. */
function isSuffixState({ depth, fail }: Automaton, state: number, other: number): boolean {
  const length = depth[state] as number;
  let longer = other;
  while ((depth[longer] as number) > length) longer = fail[longer] as number;
  return longer === state;
}

/** Pseudorandom choices that are the same for the same seed. */
export type Random = {
  /** A number from `low`, below `high`. */
  between(low: number, high: number): number;
  integer(low: number, high: number): number;
  pick<T>(from: readonly T[]): T;
  shuffle<T>(these: readonly T[]): T[];
};

/**
 * The generator mulberry32. Each `stream` of a seed gives numbers of its own, so that parallel clients do not change
 * each other's choices.
 */
export function seededRandom(seed: number, stream: number): Random {
  let state = (seed ^ Math.imul(stream + 1, 0x9e3779b9)) >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const integer = (low: number, high: number) => low + Math.floor(next() * (high - low));
  return {
    between: (low, high) => low + next() * (high - low),
    integer,
    pick: (from) => from[integer(0, from.length)] as (typeof from)[number],
    shuffle(these) {
      const left = [...these];
      return these.map(() => left.splice(integer(0, left.length), 1)[0] as (typeof these)[number]);
    },
  };
}

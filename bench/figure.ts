import { median, quantile } from "./statistics.ts";

export type Unit = "ms" | "per s" | "MB" | "MB/s" | "×";

/** One cell of the table. */
export type Figure = {
  readonly row: string;
  readonly subject: string;
  readonly metric: string;
  readonly unit: Unit;
  readonly median: number;
  /** The quartiles over the rounds: half of them lie between. */
  readonly low: number;
  readonly high: number;
  /** To the floor of the same round, the median over the rounds; null where there is no floor to compare with. */
  readonly ratio: number | null;
  readonly rounds: number;
};

/** What the rounds of one subject make of a metric; `floors` are the floor's values in the same rounds. */
export function figureOf(
  name: Pick<Figure, "row" | "subject" | "metric" | "unit">,
  values: readonly number[],
  floors?: readonly number[],
): Figure {
  return {
    ...name,
    median: median(values),
    low: quantile(values, 0.25),
    high: quantile(values, 0.75),
    ratio: floors ? median(values.map((value, round) => value / (floors[round] ?? Number.NaN))) : null,
    rounds: values.length,
  };
}

// With half of the rounds further apart than this part of their median, another run would say something else.
const TOO_WIDE = 0.5;

/** Whether the rounds differ too much for the figure to mean anything. */
export function isNoisy({ low, high, median: middle }: Figure): boolean {
  return high - low > TOO_WIDE * Math.abs(middle);
}

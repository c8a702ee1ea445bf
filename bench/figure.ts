import { median, quantile } from "./statistics.ts";

export type Unit = "ms" | "per s" | "MB" | "MB/s" | "×";

/** One measured value of the table. */
export type Figure = {
  readonly row: string;
  readonly subject: string;
  readonly metric: string;
  readonly unit: Unit;
  readonly median: number;
  /** The quartiles over the rounds: half of the rounds lie between them. */
  readonly low: number;
  readonly high: number;
  /** The ratio to the floor in the same round, as the median over the rounds; null when there is no floor. */
  readonly ratio: number | null;
  readonly rounds: number;
};

/**
 * Summarizes the rounds of one subject for one metric. `floors` are the floor's values in the same rounds.
 */
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

// The largest distance of the quartiles, as a share of the median. With a wider spread, a second measurement
// would give another figure.
const TOO_WIDE = 0.5;

/** Whether the rounds differ too much for the figure to be meaningful. */
export function isNoisy({ low, high, median: middle }: Figure): boolean {
  return high - low > TOO_WIDE * Math.abs(middle);
}

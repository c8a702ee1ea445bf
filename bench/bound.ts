import type { Figure } from "./figure.ts";
import type { RowName } from "./row-names.ts";

/** A limit for one figure, or for its ratio to the floor. */
export type Bound = {
  /** The promise behind the bound, in words. */
  readonly says: string;
  readonly row: RowName;
  readonly subject: string;
  readonly metric: string;
  readonly of: "ratio" | "median";
} & ({ readonly atMost: number } | { readonly atLeast: number });

export type Judgement = {
  readonly bound: Bound;
  /** The measured value; undefined when the figure was not measured. */
  readonly value: number | undefined;
  readonly holds: boolean;
};

/** Compares figures with bounds. A figure that was not measured, or is NaN, fails its bound. */
export function judge(bounds: readonly Bound[], figures: readonly Figure[]): Judgement[] {
  return bounds.map((bound) => {
    const figure = figures.find(
      ({ row, subject, metric }) => row === bound.row && subject === bound.subject && metric === bound.metric,
    );
    const value = figure?.[bound.of] ?? undefined;
    const holds = value !== undefined && ("atMost" in bound ? value <= bound.atMost : value >= bound.atLeast);
    return { bound, value, holds };
  });
}

/** The limit as text, `≤ 3` or `≥ 0.5`. */
export function limitOf(bound: Bound): string {
  return "atMost" in bound ? `≤ ${bound.atMost}` : `≥ ${bound.atLeast}`;
}

import type { Figure } from "./figure.ts";
import type { RowName } from "./row-names.ts";

/** What one figure, or its ratio to the floor, has to keep. */
export type Bound = {
  /** What is promised, for people. */
  readonly says: string;
  readonly row: RowName;
  readonly subject: string;
  readonly metric: string;
  readonly of: "ratio" | "median";
} & ({ readonly atMost: number } | { readonly atLeast: number });

export type Judgement = {
  readonly bound: Bound;
  /** Undefined: it was not measured. */
  readonly value: number | undefined;
  readonly holds: boolean;
};

/** Holds figures against bounds; a figure that was not measured, or is no number, does not hold. */
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

/** `≤ 3` or `≥ 0.5`. */
export function limitOf(bound: Bound): string {
  return "atMost" in bound ? `≤ ${bound.atMost}` : `≥ ${bound.atLeast}`;
}

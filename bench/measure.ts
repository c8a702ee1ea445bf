import { openBench } from "./bench.ts";
import { judge } from "./bound.ts";
import type { Figure } from "./figure.ts";
import { describeMachine } from "./machine.ts";
import type { Plan } from "./plan.ts";
import type { Result } from "./result.ts";
import type { RowName } from "./row-names.ts";
import { ROWS } from "./rows.ts";
import { targetsOf } from "./targets.ts";

/** Measures the rows and stops everything that was started for them. */
export async function measure(
  plan: Plan,
  rows: readonly RowName[],
  say: (progress: string) => void,
): Promise<Result> {
  const from = performance.now();
  const bench = openBench(plan, say);
  const figures: Figure[] = [];
  try {
    for (const row of rows) {
      // An error in one row becomes a note, so that the figures of the other rows are kept.
      const measured = await ROWS[row]
        .measure(bench)
        .catch((error: Error) => bench.missing(row, error.message));
      figures.push(...(measured ?? []));
    }
  } finally {
    await bench.close();
  }
  const targets = targetsOf(plan).filter(({ row }) => rows.some((each) => each === row));
  return {
    plan: plan.name,
    machine: describeMachine(),
    seconds: (performance.now() - from) / 1_000,
    titles: Object.fromEntries(rows.map((row) => [row, ROWS[row].title])),
    figures,
    targets: judge(targets, figures),
    notes: bench.notes,
  };
}

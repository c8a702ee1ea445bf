import { openBench } from "./bench.ts";
import { judge } from "./bound.ts";
import type { Figure } from "./figure.ts";
import { describeMachine } from "./machine.ts";
import type { Plan } from "./plan.ts";
import type { Result } from "./result.ts";
import { ROWS } from "./rows.ts";
import { targetsOf } from "./targets.ts";

/** Measures these rows, all of them when none are named, and stops all that it started. */
export async function measure(
  plan: Plan,
  only: readonly string[],
  say: (progress: string) => void,
): Promise<Result> {
  const rows = ROWS.filter(({ name }) => only.length === 0 || only.includes(name));
  const from = performance.now();
  const bench = openBench(plan, say);
  const figures: Figure[] = [];
  try {
    for (const row of rows) {
      // What one row cannot do here does not cost the others their figures.
      const measured = await row
        .measure(bench)
        .catch((error: Error) => bench.missing(row.name, error.message));
      figures.push(...(measured ?? []));
    }
  } finally {
    await bench.close();
  }
  const measured = new Set(rows.map(({ name }) => name));
  return {
    plan: plan.name,
    machine: describeMachine(),
    seconds: (performance.now() - from) / 1_000,
    titles: Object.fromEntries(rows.map(({ name, title }) => [name, title])),
    figures,
    targets: judge(
      targetsOf(plan).filter(({ row }) => measured.has(row)),
      figures,
    ),
    notes: bench.notes,
  };
}

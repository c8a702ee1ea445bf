import { readFile } from "node:fs/promises";
import { ConfigError } from "../services/common/environment.ts";
import { type Bound, type Judgement, judge, limitOf } from "./bound.ts";
import { measure } from "./measure.ts";
import type { Plan } from "./plan.ts";
import { digits } from "./report/numbers.ts";
import { isRowName } from "./row-names.ts";


/** Measures what the bounds are about, and resolves to what each of them came to. */
export async function guard(plan: Plan, path: string, say: (progress: string) => void): Promise<Judgement[]> {
  const bounds = await readBounds(path);
  const rows = [...new Set(bounds.map(({ row }) => row))];
  return judge(bounds, (await measure(plan, rows, say)).figures);
}

async function readBounds(path: string): Promise<readonly Bound[]> {
  try {
    const { bounds } = JSON.parse(await readFile(path, "utf8")) as { bounds: Bound[] };
    // Without a bound the guard would pass whatever happens.
    if (bounds.length === 0) throw new Error("it holds no bound");
    const stranger = bounds.find(({ row }) => !isRowName(row));
    if (stranger) throw new Error(`there is no row "${stranger.row}"`);
    return bounds;
  } catch (error) {
    throw new ConfigError([`The file ${path} cannot be used: ${(error as Error).message}.`]);
  }
}

/** A line for each bound; those that slipped are named with their row. */
export function guardText(judgements: readonly Judgement[]): string {
  return judgements
    .map(({ bound, value, holds }) => {
      const name = `${bound.row}: ${bound.subject}, ${bound.metric}`;
      const found = value === undefined ? "not measured" : digits(value);
      return `${holds ? "✓" : "✗ slipped:"} ${name} ${found} (${bound.of} ${limitOf(bound)}; ${bound.says})\n`;
    })
    .join("");
}

import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { ConfigError } from "#common/service/environment.ts";
import { type Bound, type Judgement, judge, limitOf } from "./bound.ts";
import type { Figure } from "./figure.ts";
import { measure } from "./measure.ts";
import { digits } from "./numbers.ts";
import type { Plan } from "./plan.ts";
import { isRowName, ROW_NAMES, type RowName } from "./row-names.ts";

// What disturbed the machine once, such as a neighbour that fills its caches, is over after a while; what became slower is not.
const ATTEMPTS = 5;
const PAUSE_MS = 10_000;

/** Measures what the bounds are about, what slipped again, and resolves to what each of them came to at last. */
export async function guard(
  plan: Plan,
  path: string,
  say: (progress: string) => void,
): Promise<readonly Judgement[]> {
  const bounds = await readBounds(path);
  let isAgain = false;
  return await judgeRepeatedly(bounds, ATTEMPTS, async (rows) => {
    if (isAgain) await sleep(PAUSE_MS);
    isAgain = true;
    const { figures, notes } = await measure(plan, rows, say);
    for (const note of notes) say(note);
    return figures;
  });
}

/** Measures the rows of the bounds, and those of what did not hold again, until all hold or it was tried so often. */
export async function judgeRepeatedly(
  bounds: readonly Bound[],
  attempts: number,
  figuresOf: (rows: readonly RowName[]) => Promise<readonly Figure[]>,
): Promise<readonly Judgement[]> {
  let judgements: readonly Judgement[] = bounds.map((bound) => ({ bound, value: undefined, holds: false }));
  for (let attempt = 0; attempt < attempts && judgements.some(({ holds }) => !holds); attempt++) {
    const slipped = new Set(judgements.filter(({ holds }) => !holds).map(({ bound }) => bound.row));
    const figures = await figuresOf(ROW_NAMES.filter((row) => slipped.has(row)));
    judgements = judgements.map((earlier) =>
      earlier.holds ? earlier : (judge([earlier.bound], figures)[0] as Judgement),
    );
  }
  return judgements;
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

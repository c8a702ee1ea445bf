import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { ConfigError } from "#common/service/environment.ts";
import { type Bound, type Judgement, judge, limitOf } from "./bound.ts";
import type { Figure } from "./figure.ts";
import { measure } from "./measure.ts";
import { digits } from "./numbers.ts";
import type { Plan } from "./plan.ts";
import { isRowName, ROW_NAMES, type RowName } from "./row-names.ts";

// A bound that fails is measured up to five times. A disturbance of the machine, such as another program that
// fills its caches, passes; slower code stays slow.
const ATTEMPTS = 5;
const PAUSE_MS = 10_000;

/**
 * Measures the rows of the bounds in the file at `path`, failed ones repeatedly, and resolves to the last
 * judgement of each bound.
 */
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

/**
 * Measures the rows of all bounds, then again the rows of failed ones, until all bounds hold or `attempts`
 * are used up.
 */
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
    // A file without bounds is refused, because the guard would then always pass.
    if (bounds.length === 0) throw new Error("it holds no bound");
    const stranger = bounds.find(({ row }) => !isRowName(row));
    if (stranger) throw new Error(`there is no row "${stranger.row}"`);
    return bounds;
  } catch (error) {
    throw new ConfigError([`The file ${path} cannot be used: ${(error as Error).message}.`]);
  }
}

/** Formats the guard's report: a line for each bound, with failed ones marked as slipped. */
export function guardText(judgements: readonly Judgement[]): string {
  return judgements
    .map(({ bound, value, holds }) => {
      const name = `${bound.row}: ${bound.subject}, ${bound.metric}`;
      const found = value === undefined ? "not measured" : digits(value);
      return `${holds ? "✓" : "✗ slipped:"} ${name} ${found} (${bound.of} ${limitOf(bound)}; ${bound.says})\n`;
    })
    .join("");
}

import { table } from "../../cli/terminal/table.ts";
import { limitOf } from "../bound.ts";
import { type Figure, isNoisy } from "../figure.ts";
import { amount, digits, spread } from "../numbers.ts";
import type { Result } from "../result.ts";

const HEADING = ["", "", "median", "spread", "× floor", ""] as const;

/** The text that `./airlock bench` prints. */
export function textOf(result: Result): string {
  const rows = Object.entries(result.titles).map(([row, title]) => {
    const figures = result.figures.filter((figure) => figure.row === row);
    return figures.length === 0 ? "" : `\n${row}: ${title}\n${table(HEADING, figures.map(lineOf))}`;
  });
  const machine = Object.entries(result.machine).map(([name, value]) => `${name} ${value}`);
  return [
    `${machine.join(", ")}; ${result.plan}, ${Math.round(result.seconds)} s\n`,
    ...rows,
    `\n${targetsText(result)}`,
    ...result.notes.map((note) => `${note}\n`),
    noiseText(result.figures),
  ].join("");
}

function lineOf(figure: Figure): string[] {
  const ratio = figure.ratio === null ? "" : digits(figure.ratio);
  const noisy = isNoisy(figure) ? "spread too large" : "";
  return [figure.subject, figure.metric, amount(figure), spread(figure), ratio, noisy];
}

export function targetsText({ targets, figures }: Pick<Result, "targets" | "figures">): string {
  if (targets.length === 0) return "";
  const lines = targets.map(({ bound, value, holds }) => {
    const figure = figures.find(
      ({ row, subject, metric }) => row === bound.row && subject === bound.subject && metric === bound.metric,
    );
    const verdict = value === undefined ? "not measured" : holds ? "holds" : "misses";
    const noisy = figure && isNoisy(figure) ? "spread too large" : "";
    return [bound.says, limitOf(bound), value === undefined ? "" : digits(value), verdict, noisy];
  });
  return table(["target", "limit", "measured", "", ""], lines);
}

/** A warning when the machine was too busy for the figures to be meaningful; otherwise empty. */
export function noiseText(figures: readonly Figure[]): string {
  const noisy = figures.filter(isNoisy).length;
  if (noisy === 0) return "";
  return `The rounds of ${noisy} of ${figures.length} figures differ by more than half of their median: those mean little. Measure again on a quiet machine.\n`;
}

import { limitOf } from "../bound.ts";
import { isNoisy } from "../figure.ts";
import { amount, digits, spread } from "../numbers.ts";
import { BY_PROCESS_HEADING, byProcessLines } from "../profile/by-process.ts";
import { BY_STEP_HEADING, byStepLines } from "../profile/by-step.ts";
import type { Profile } from "../profile/profile.ts";
import type { Result } from "../result.ts";

/** Formats a result as the tables of bench/README.md. */
export function resultMarkdown(result: Result): string {
  const machine = Object.entries(result.machine).map(([name, value]) => `${name} ${value}`);
  const parts = [
    `${machine.join(", ")}. \`./airlock bench${result.plan === "full" ? "" : ` --${result.plan}`}\` took ${Math.round(result.seconds)} s.`,
    targetsMarkdown(result),
    ...result.notes.map((note) => `- ${note}`),
    noiseMarkdown(result),
    ...Object.entries(result.titles).map(([row, title]) => rowMarkdown(result, row, title)),
  ];
  return parts.filter(Boolean).join("\n\n");
}

function targetsMarkdown({ targets }: Result): string {
  const lines = targets.map(({ bound, value, holds }) => {
    const found = value === undefined ? "not measured" : digits(value);
    return [bound.says, limitOf(bound), found, value === undefined ? "" : holds ? "holds" : "**misses**"];
  });
  return tableMarkdown(["target", "limit", "measured", ""], lines);
}

function rowMarkdown({ figures }: Result, row: string, title: string): string {
  const own = figures.filter((figure) => figure.row === row);
  if (own.length === 0) return "";
  const lines = own.map((figure) => [
    figure.subject,
    figure.metric,
    amount(figure),
    spread(figure),
    figure.ratio === null ? "" : digits(figure.ratio),
    isNoisy(figure) ? "spread too large" : "",
  ]);
  const heading = ["", "", "median", "quartiles", "× floor", ""];
  return `### ${row}\n\n${title}.\n\n![${row}](plots/${row}.svg)\n\n${tableMarkdown(heading, lines)}`;
}

function noiseMarkdown({ figures }: Result): string {
  const noisy = figures.filter(isNoisy).length;
  return noisy === 0
    ? ""
    : `**The machine was not quiet**: the rounds of ${noisy} of ${figures.length} figures differ by more than half of their median. Those mean little.`;
}

/** Formats a profile as Markdown tables. */
export function profileMarkdown({ executions, steps, byProcess, byStep }: Profile): string {
  const lines = steps.map(({ atMs, sinceMs, what }) => [digits(atMs), digits(sinceMs), what]);
  return [
    `Median of ${executions} executions, ms:\n\n${tableMarkdown(["at", "+", "what"], lines)}`,
    `Processor time of one execution, by process:\n\n${tableMarkdown(BY_PROCESS_HEADING, byProcessLines(byProcess))}`,
    `Processor time of a run child before its script, by step:\n\n${tableMarkdown(BY_STEP_HEADING, byStepLines(byStep))}`,
  ].join("\n\n");
}

function tableMarkdown(heading: readonly string[], lines: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(heading), line(heading.map(() => "---")), ...lines.map(line)].join("\n");
}

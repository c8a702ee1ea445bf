import type { Judgement } from "./bound.ts";
import type { Figure } from "./figure.ts";
import type { Machine } from "./machine.ts";
import type { Plan } from "./plan.ts";

/** The complete result of a benchmark run, which `--json` prints. */
export type Result = {
  readonly plan: Plan["name"];
  readonly machine: Machine;
  readonly seconds: number;
  readonly titles: Readonly<Record<string, string>>;
  readonly figures: readonly Figure[];
  readonly targets: readonly Judgement[];
  /** Notes on figures that were not measured, and why. */
  readonly notes: readonly string[];
};

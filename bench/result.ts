import type { Judgement } from "./bound.ts";
import type { Figure } from "./figure.ts";
import type { Machine } from "./machine.ts";
import type { Plan } from "./plan.ts";

/** All that one run of the benchmark found; `--json` prints it. */
export type Result = {
  readonly plan: Plan["name"];
  readonly machine: Machine;
  readonly seconds: number;
  readonly titles: Readonly<Record<string, string>>;
  readonly figures: readonly Figure[];
  readonly targets: readonly Judgement[];
  /** What was not measured, and why. */
  readonly notes: readonly string[];
};

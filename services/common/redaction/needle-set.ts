import { AirlockError } from "../errors.ts";
import { type Automaton, compileAutomaton, type Trigger } from "./automaton.ts";
import { type Needle, type NumberNeedle, needlesOf, numbersOf } from "./needles.ts";

/** All that is looked for in the output of one project, compiled. */
export type NeedleSet = {
  readonly needles: readonly Needle[];
  readonly automaton: Automaton;
  /** Secrets that are numbers, without sign. */
  readonly numbers: ReadonlyMap<number, NumberNeedle>;
  /** The secret that each value belongs to, by the values' order. */
  readonly names: readonly string[];
};

/** More would take seconds and hundreds of megabytes to compile; a thousand secrets of 40 bytes make 0.4 MB. */
const MAX_NEEDLE_BYTES = 8 * 1024 * 1024;

/**
 * Compiles the needles of these values, whose secrets have these names; `triggers` are found in the same scan. Throws
 * `output_withheld` when the needles are too many to be looked for.
 */
export function compileNeedles(
  values: readonly string[],
  names: readonly string[] = [],
  triggers: readonly Trigger[] = [],
): NeedleSet {
  const needles = needlesOf(values);
  const bytes = needles.reduce((sum, needle) => sum + needle.bytes.length, 0);
  if (bytes > MAX_NEEDLE_BYTES) {
    throw new AirlockError(
      "output_withheld",
      "The output is withheld because the project's secrets are together too large to be looked for in it.",
    );
  }
  const automaton = compileAutomaton(
    needles.map((needle) => needle.bytes),
    triggers,
  );
  return { needles, automaton, numbers: numbersOf(values), names };
}

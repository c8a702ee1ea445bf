import { type Automaton, compileAutomaton } from "./automaton.ts";
import { type Needle, needlesOf, numbersOf } from "./needles.ts";

/** All that is looked for in the output of one project, compiled. */
export type NeedleSet = {
  readonly needles: readonly Needle[];
  readonly automaton: Automaton;
  /** Secrets that are numbers, without sign, with their markers. */
  readonly numbers: ReadonlyMap<number, string>;
};

export function compileNeedles(values: readonly string[]): NeedleSet {
  const needles = needlesOf(values);
  const automaton = compileAutomaton(needles.map((needle) => needle.bytes));
  return { needles, automaton, numbers: numbersOf(values) };
}

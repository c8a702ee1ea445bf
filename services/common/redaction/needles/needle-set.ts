import { atOnce } from "../../event-loop/turn.ts";
import { type Automaton, automatonSteps, type Trigger } from "../automaton/automaton.ts";
import { introducersFor } from "../escapes/escape-reader.ts";
import type { MatchCheck } from "./match-checks.ts";
import { type Needle, needleSteps, textNeedle, wholeNeedlesOf } from "./needles.ts";
import { NumberIndex } from "./number-index.ts";

/** All that is looked for in the output of one project, compiled. */
export type NeedleSet = {
  /** First those that the automaton finds, in its order, then others with the bytes of one of them. */
  readonly needles: readonly Needle[];
  readonly automaton: Automaton;
  /** By pattern of the automaton: the needles with these bytes, by their place in `needles`; of all that are numbers the first. */
  readonly sameBytes: readonly (readonly number[])[];
  /** By needle: what must hold around it. */
  readonly checks: readonly MatchCheck[];
  /** By needle: how many of its last bytes its marker shows. */
  readonly tails: Uint8Array;
  /** Secrets that are numbers, with the places of their needles. */
  readonly numbers: NumberIndex<number>;
  /** The secret that each value belongs to, by the values' order. */
  readonly names: readonly string[];
};

/**
 * Compiles the needles of these values, whose secrets have these names; `triggers` are found in the same scan. Throws
 * `output_withheld` when the needles are too many to be looked for.
 */
export function compileNeedles(
  values: readonly string[],
  names: readonly string[] = [],
  triggers: readonly Trigger[] = [],
): NeedleSet {
  return atOnce(compileSteps(values, names, triggers));
}

/** The same in steps of about a millisecond, to be done in turns with other work. */
export function* compileSteps(
  values: readonly string[],
  names: readonly string[],
  triggers: readonly Trigger[],
): Generator<void, NeedleSet> {
  return yield* setSteps(yield* needleSteps(values, names), names, triggers);
}

/** The same of values that are looked for as a whole, whose markers show nothing. */
export function compileValues(values: readonly string[]): NeedleSet {
  return compiled(
    wholeNeedlesOf(values).map((needle) => ({ ...needle, tail: 0 })),
    [],
  );
}

/** `set` with these texts, by the values' order, in place of the markers. What was compiled is shared with `set`. */
export function withReplacements(set: NeedleSet, texts: readonly string[]): NeedleSet {
  const replacements = texts.map((text) => Buffer.from(text));
  const needles = set.needles.map((needle) => ({
    ...needle,
    replacement: replacements[needle.source] ?? Buffer.alloc(0),
  }));
  return { ...set, needles };
}

/** The needles of texts that are looked for as they are or with escapes, and in no other form. */
export function compileTexts(texts: readonly string[]): NeedleSet {
  return compiled(texts.map(textNeedle), []);
}

function compiled(needles: readonly Needle[], names: readonly string[]): NeedleSet {
  return atOnce(setSteps(needles, names, []));
}

function* setSteps(
  unsorted: readonly Needle[],
  names: readonly string[],
  triggers: readonly Trigger[],
): Generator<void, NeedleSet> {
  const { needles, patterns, sameBytes } = sorted(unsorted);
  yield;
  const used = new Uint8Array(256);
  for (const needle of needles) for (const byte of needle.bytes) used[byte] = 1;
  const automaton = yield* automatonSteps(
    patterns,
    triggers,
    needles.length === 0 ? [] : introducersFor(used),
  );
  const numbers = new NumberIndex<number>();
  const looked = yield* lookedUp(needles, sameBytes, numbers);
  return {
    needles,
    automaton,
    ...looked,
    tails: Uint8Array.from(needles, ({ tail }) => tail),
    numbers,
    names,
  };
}

/** So many numbers are put into an index within a millisecond. */
const NUMBERS_PER_STEP = 16;

/** Puts all numbers into `all`, and those of each pattern into an index of its own, which the first of them has as its check. */
function* lookedUp(
  needles: readonly Needle[],
  sameBytes: readonly (readonly number[])[],
  all: NumberIndex<number>,
): Generator<void, Pick<NeedleSet, "sameBytes" | "checks">> {
  const checks: MatchCheck[] = needles.map(({ check }) => (check?.kind === "number" ? undefined : check));
  const lists: (readonly number[])[] = [];
  let count = 0;
  for (const list of sameBytes) {
    const numbers = new NumberIndex<number>();
    let first: number | undefined;
    const kept: number[] = [];
    for (const place of list) {
      const check = needles[place]?.check;
      if (check?.kind === "number") {
        if (++count % NUMBERS_PER_STEP === 0) yield;
        numbers.add(check.number, place);
        all.add(check.number, place);
        if (first !== undefined) continue;
        first = place;
        checks[place] = { kind: "number", numbers };
      }
      kept.push(place);
    }
    lists.push(kept);
  }
  return { sameBytes: lists, checks };
}

/** One pattern for all needles with the same bytes, which may be written with the gaps of any of them. */
function sorted(needles: readonly Needle[]) {
  const groups = new Map<string, Needle[]>();
  for (const needle of needles) {
    const key = Buffer.from(needle.bytes).toString("latin1");
    const group = groups.get(key);
    if (group) group.push(needle);
    else groups.set(key, [needle]);
  }
  const all = [...groups.values()];
  const others = all.flatMap((group) => group.slice(1));
  let next = all.length;
  return {
    needles: [...all.map((group) => group[0] as Needle), ...others],
    patterns: all.map((group) => ({
      bytes: (group[0] as Needle).bytes,
      gaps: group.find(({ gaps }) => gaps !== "none")?.gaps ?? "none",
    })),
    sameBytes: all.map((group, index) => group.map((_needle, at) => (at === 0 ? index : next++))),
  };
}

import { atOnce } from "../../event-loop/turn.ts";
import { type Automaton, automatonSteps, type Trigger } from "../automaton/automaton.ts";
import { introducersFor } from "../escapes/escape-reader.ts";
import type { MatchCheck } from "./match-checks.ts";
import { type Needle, needleSteps, textNeedle, wholeNeedlesOf } from "./needles.ts";
import { NumberIndex } from "./number-index.ts";

/** The needles (forms of the values) of one project's secrets, compiled to search output for them. */
export type NeedleSet = {
  /**
   * All needles (the forms of secret values to search for). First one needle for each pattern of the
   * automaton, in the automaton's order, then the needles that share their bytes with one of those.
   */
  readonly needles: readonly Needle[];
  readonly automaton: Automaton;
  /**
   * For each pattern of the automaton, the indexes of the needles with the same bytes. Of several needles of
   * numbers only the first is listed, whose check finds the others.
   */
  readonly sameBytes: readonly (readonly number[])[];
  /** For each needle, the condition on the text around it; undefined means none. */
  readonly checks: readonly MatchCheck[];
  /** For each needle, the number of its last bytes that its marker shows; 0 means none. */
  readonly tails: Uint8Array;
  /** The secrets that are numbers, with the indexes of their needles. */
  readonly numbers: NumberIndex<number>;
  /** The name of each value's secret, in the order of the values. */
  readonly names: readonly string[];
};

/**
 * Compiles the needles of these secret values. `names` are the names of the values' secrets. `triggers`,
 * prefixes of unknown credentials, are found in the same scan. Throws `output_withheld` when the needles are
 * too large to be searched for.
 */
export function compileNeedles(
  values: readonly string[],
  names: readonly string[] = [],
  triggers: readonly Trigger[] = [],
): NeedleSet {
  return atOnce(compileSteps(values, names, triggers));
}

/**
 * Compiles needles like `compileNeedles`, and yields about every millisecond, so that the caller can let
 * other work run.
 */
export function* compileSteps(
  values: readonly string[],
  names: readonly string[],
  triggers: readonly Trigger[],
): Generator<void, NeedleSet> {
  return yield* setSteps(yield* needleSteps(values, names), names, triggers);
}

/** Compiles needles of whole values only, without their parts. Markers show no characters of the values. */
export function compileValues(values: readonly string[]): NeedleSet {
  return compiled(
    wholeNeedlesOf(values).map((needle) => ({ ...needle, tail: 0 })),
    [],
  );
}

/**
 * A copy of `set` that replaces each value by its text in `texts`, in the order of the values, instead of by
 * a marker. The compiled data is shared with `set`.
 */
export function withReplacements(set: NeedleSet, texts: readonly string[]): NeedleSet {
  const replacements = texts.map((text) => Buffer.from(text));
  const needles = set.needles.map((needle) => ({
    ...needle,
    replacement: replacements[needle.source] ?? Buffer.alloc(0),
  }));
  return { ...set, needles };
}

/** Compiles needles of texts that are searched for as they are or with escapes, and in no other form. */
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

/** Numbers that are added to an index in less than a millisecond. Then other work may run. */
const NUMBERS_PER_STEP = 16;

/**
 * Adds all secret numbers to the index `all`. The numbers of each pattern also get an index of their own,
 * which becomes the check of the first of them.
 */
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

/**
 * Makes one pattern of all needles with the same bytes. The pattern allows the gaps (separators between
 * characters) that any of these needles allows.
 */
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

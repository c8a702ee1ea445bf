import { PREFIX_BYTES } from "./gap-tables.ts";
import { breaksLines, GAP_KINDS, GAPS, type GapKind, type Gaps, IS_LINE_END, type Stops } from "./gaps.ts";
import { PrefixFilter } from "./prefix-filter.ts";
import { type Trie, trieSteps } from "./trie.ts";

/** States that are built in about a millisecond, after which other work may run. */
const STATES_PER_STEP = 1_024;

/** The most entries of the table of transitions: 4 MiB, about what a core's caches hold. */
const MAX_TABLE_ENTRIES = 1 << 20;

/**
 * A table entry that makes the scanner stop before a byte, because that byte may begin an escape or be a
 * separator, so that the text can be read in more than one way.
 */
export const STOP = -0x8000_0000;

/** A short prefix (`ghp_`, `://`) that starts the search for unknown credentials. */
export type Trigger = {
  readonly bytes: Uint8Array;
  /**
   * Whether the prefix is part of the credential. The beginning of such a prefix is held back until the rest
   * of it has arrived.
   */
  readonly held: boolean;
};

type Pattern = { readonly bytes: Uint8Array; readonly gaps: Gaps };

/**
 * An Aho–Corasick automaton over bytes. State 0 is the start. States are numbered by depth. States near the
 * start have rows in `table`, because nearly all input stays there. The few deep states without a row follow
 * fail links, which keeps both memory and time linear.
 */
export type Automaton = Stops & {
  /** For each byte, its class. All bytes that are in no pattern share class 0. */
  readonly classOf: Uint8Array;
  /** The number of classes, class 0 included. */
  readonly classes: number;
  /** The classes from 1 to this number belong to bytes at which the scanner may have to stop. */
  readonly stopClasses: number;
  /** The number of states with a row in `table`: all states below this number. */
  readonly rows: number;
  /**
   * For each state with a row, and each class, the next state times `classes`. If a pattern or a trigger ends
   * in the next state, or that state has no row, the entry is the complement (`~`) of the state. Where the
   * scanner must stop, the entry is `STOP`.
   */
  readonly table: Int32Array;
  /**
   * For each state, the number of bytes since the beginning of the longest pattern that further bytes could
   * still complete; 0 when there is none. So many of the last bytes are held back.
   */
  readonly reach: Int32Array;
  /**
   * For each state, the number of bytes since the beginning of the longest held trigger that further bytes
   * could still complete; 0 when there is none.
   */
  readonly triggerReach: Int32Array;
  /** For each state, the number of bytes that lead from the start to it. */
  readonly depth: Int32Array;
  /** For each state, the state of its longest proper suffix. */
  readonly fail: Int32Array;
  /** For each state, the index of the longest pattern that ends there, or -1. */
  readonly longest: Int32Array;
  /** For each pattern, its number of bytes. */
  readonly lengths: Int32Array;
  /** For each pattern, the kind of gaps (separators) that may stand between its characters. */
  readonly gapsOf: readonly Gaps[];
  /** For each state, the index of the trigger that ends there, or -1. */
  readonly triggerIn: Int32Array;
  /** For each trigger, its number of bytes. */
  readonly triggerLengths: Int32Array;
  /** For each byte, 1 if a pattern has this byte twice in a row. */
  readonly isTwice: Uint8Array;
  /** For each byte, 1 if a pattern or a trigger begins with it. */
  readonly begins: Uint8Array;
  /** For each byte, 1 if it may be a gap of any kind, a separator between the characters of a pattern. */
  readonly isAnyGap: Uint8Array;
  /** The state after `state` and `byte`. Works for every state, but is slower than `table`. */
  step(state: number, byte: number): number;
  /**
   * The fast search that skips text in which no pattern begins; undefined when the automaton must follow
   * every byte.
   */
  readonly filter: PrefixFilter | undefined;
  /** The number of states that are reached by fewer bytes than `filter` looks up; 0 without a filter. */
  readonly shallow: number;
};

/**
 * Compiles patterns and triggers into an automaton. Yields about every millisecond, because thousands of
 * patterns take a second. The patterns must all be different and not empty, and no trigger may end with
 * another trigger. Triggers are found everywhere, also inside a pattern. The scanner stops before every byte
 * of `introducers`, with which an escape may begin.
 */
export function* automatonSteps(
  patterns: readonly Pattern[],
  triggers: readonly Trigger[],
  introducers: readonly number[],
): Generator<void, Automaton> {
  const trie = yield* trieSteps([...patterns, ...triggers].map(({ bytes }) => bytes));
  const { size, firstChild, byteInto, endOf, depth } = trie;
  const reach = openDepths(trie, (index) => index < patterns.length);
  const triggerReach = openDepths(trie, (index) => triggers[index - patterns.length]?.held === true);
  const longest = new Int32Array(size).fill(-1);
  const triggerIn = new Int32Array(size).fill(-1);
  endOf.forEach((node, index) => {
    if (index < patterns.length) longest[node] = index;
    else triggerIn[node] = index - patterns.length;
  });
  const gapKinds = GAP_KINDS.filter((kind) => patterns.some(({ gaps }) => gaps === kind));
  const stops = [...introducers, ...gapKinds.flatMap((kind) => GAPS[kind].between)];
  const { classOf, classes, stopClasses } = classesOf(trie, stops);
  const rows = Math.min(size, Math.max(1, Math.floor(MAX_TABLE_ENTRIES / classes)));
  const table = new Int32Array(rows * classes);
  // The transitions that `STOP` overwrites in `table`. The function `step` reads them here.
  const stepped = new Int32Array(rows * stopClasses);
  const fail = new Int32Array(size);
  let isComplete = false;

  const step = (from: number, byte: number): number => {
    const byteClass = classOf[byte] as number;
    for (let state = from; ; state = fail[state] as number) {
      if (state < rows) {
        const isKept = isComplete && byteClass > 0 && byteClass <= stopClasses;
        const entry = (
          isKept ? stepped[state * stopClasses + byteClass - 1] : table[state * classes + byteClass]
        ) as number;
        return entry < 0 ? ~entry : entry / classes;
      }
      const end = firstChild[state + 1] as number;
      for (let child = firstChild[state] as number; child < end; child++) {
        if (byteInto[child] === byte) return child;
      }
    }
  };

  for (let state = 0; state < size; state++) {
    if (state % STATES_PER_STEP === 0) yield;
    const row = state * classes;
    const failed = fail[state] as number;
    const hasRow = state < rows;
    if (hasRow && state > 0) table.copyWithin(row, failed * classes, (failed + 1) * classes);
    for (let child = firstChild[state] as number; child < (firstChild[state + 1] as number); child++) {
      const byte = byteInto[child] as number;
      const link = state === 0 ? 0 : step(failed, byte);
      fail[child] = link;
      // A pattern that ends in the state itself is longer than any that ends in its fail link.
      if (longest[child] === -1) longest[child] = longest[link] as number;
      if (triggerIn[child] === -1) triggerIn[child] = triggerIn[link] as number;
      if (reach[child] === 0) reach[child] = reach[link] as number;
      if (triggerReach[child] === 0) triggerReach[child] = triggerReach[link] as number;
      const special = child >= rows || longest[child] !== -1 || triggerIn[child] !== -1;
      if (hasRow) table[row + (classOf[byte] as number)] = special ? ~child : child * classes;
    }
  }

  const gaps = gapKinds.map((kind) => ({
    kind,
    states: gapStatesOf(trie, patterns, fail, kind, GAPS[kind]),
    lineStates: gapStatesOf(trie, patterns, fail, kind, breaksLines(kind) ? ANYWHERE : GAPS[kind]),
    isGap: flags(GAPS[kind].between),
    minDepth: GAPS[kind].minDepth,
    every: GAPS[kind].every,
  }));
  for (let state = 0; state < rows; state++) {
    if (state % STATES_PER_STEP === 0) yield;
    for (let stop = 0; stop < stopClasses; stop++)
      stepped[state * stopClasses + stop] = table[state * classes + stop + 1] as number;
    for (const byte of introducers) table[state * classes + (classOf[byte] as number)] = STOP;
    for (const { kind, states, lineStates } of gaps) {
      for (const byte of GAPS[kind].between) {
        const isPassed = (IS_LINE_END[byte] === 1 ? lineStates : states)[state] !== 0;
        if (isPassed) table[state * classes + (classOf[byte] as number)] = STOP;
      }
    }
  }
  isComplete = true;
  yield;
  const isTwice = new Uint8Array(256);
  for (const { bytes } of patterns) {
    for (let at = 1; at < bytes.length; at++)
      if (bytes[at] === bytes[at - 1]) isTwice[bytes[at] as number] = 1;
  }
  const automaton = {
    classOf,
    classes,
    stopClasses,
    rows,
    table,
    reach,
    triggerReach,
    depth,
    fail,
    longest,
    lengths: Int32Array.from(patterns, ({ bytes }) => bytes.length),
    gapsOf: patterns.map(({ gaps: kind }) => kind),
    triggerIn,
    triggerLengths: Int32Array.from(triggers, ({ bytes }) => bytes.length),
    introduces: flags(introducers),
    isTwice,
    begins: Uint8Array.from({ length: 256 }, (_, byte) => (step(0, byte) === 0 ? 0 : 1)),
    isAnyGap: flags(gapKinds.flatMap((kind) => GAPS[kind].between)),
    gaps,
    step,
  };
  const filter = PrefixFilter.of(
    patterns,
    triggers.map(({ bytes }) => bytes),
    automaton,
  );
  // All states before the first deep one are shallow, because states are numbered by depth.
  const deep = depth.findIndex((each) => each >= PREFIX_BYTES);
  return { ...automaton, filter, shallow: filter === undefined ? 0 : deep < 0 ? size : deep };
}

/**
 * Divides the bytes into classes and numbers them. Bytes at which the scanner may stop get the first classes,
 * each its own.
 */
function classesOf({ size, byteInto }: Trie, stops: readonly number[]) {
  const classOf = new Uint8Array(256);
  let classes = 1;
  for (const byte of stops) if (classOf[byte] === 0) classOf[byte] = classes++;
  const stopClasses = classes - 1;
  for (let node = 1; node < size; node++) {
    const byte = byteInto[node] as number;
    // When all 256 bytes are in use, class 0 belongs to the last of them alone.
    if (classOf[byte] === 0 && classes < 256) classOf[byte] = classes++;
  }
  return { classOf, classes, stopClasses };
}

/** The characters of a pattern after which a gap (separator) may stand, as `GAPS` says them. */
type Places = { readonly minDepth: number; readonly every: number };
const ANYWHERE: Places = { minDepth: 1, every: 1 };

/**
 * For every state, the longest suffix (or the state itself) that belongs to a pattern with gaps of this kind
 * and after which such a gap, a separator between characters, may stand; 0 when there is none.
 */
function gapStatesOf(
  { size, depth, endOf, parent }: Trie,
  patterns: readonly Pattern[],
  fail: Int32Array,
  kind: GapKind,
  { minDepth, every }: Places,
): Int32Array {
  const states = new Int32Array(size);
  patterns.forEach((pattern, index) => {
    if (pattern.gaps !== kind) return;
    // A gap (separator) after the end of a pattern does not matter. Nodes shared with earlier patterns have
    // been set already.
    for (let node = parent[endOf[index] as number] as number; node > 0; node = parent[node] as number) {
      if (states[node] !== 0) break;
      const at = depth[node] as number;
      states[node] = at >= minDepth && at % every === 0 ? node : -1;
    }
  });
  // The state of a shorter suffix has a smaller number, so the entry of a fail link is complete before it is
  // read here.
  for (let node = 1; node < size; node++) {
    if ((states[node] as number) <= 0) states[node] = states[fail[node] as number] as number;
  }
  return states;
}

/** For every node, its depth if a pattern that `isChosen` accepts ends below it; 0 otherwise. */
function openDepths(
  { size, firstChild, depth, endOf }: Trie,
  isChosen: (index: number) => boolean,
): Int32Array {
  const ends = new Uint8Array(size);
  endOf.forEach((node, index) => {
    if (isChosen(index)) ends[node] = 1;
  });
  const open = new Int32Array(size);
  for (let node = size - 1; node >= 0; node--) {
    for (let child = firstChild[node] as number; child < (firstChild[node + 1] as number); child++) {
      if (ends[child] === 1 || open[child] !== 0) open[node] = depth[node] as number;
    }
  }
  return open;
}

function flags(bytes: readonly number[]): Uint8Array {
  const set = new Uint8Array(256);
  for (const byte of bytes) set[byte] = 1;
  return set;
}

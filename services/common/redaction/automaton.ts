import { buildTrie, type Trie } from "./trie.ts";

/** Rows of transitions take at most this much: 4 MiB, about what a core's caches hold. */
const MAX_TABLE_ENTRIES = 1 << 20;

/** What somebody looks on from who searches the text between the patterns. */
export type Trigger = {
  readonly bytes: Uint8Array;
  /** It is itself part of what is searched for, so that its beginning must not leave before the rest has come. */
  readonly held: boolean;
};

/**
 * An Aho–Corasick automaton over bytes. State 0 is the start; states are numbered by depth, so that those near
 * the start, where nearly all input stays, have rows in `table`. The few deep ones walk fail links, which keeps
 * both memory and time linear.
 */
export type Automaton = {
  /** Bytes that no pattern tells apart share a class; class 0 is in no pattern. */
  readonly classOf: Uint8Array;
  readonly classes: number;
  /** States with a row: all below this number. */
  readonly rows: number;
  /** By row and class: the next state times `classes`, or, if it ends something or has no row, the complement of the state. */
  readonly table: Int32Array;
  /** How many bytes back the longest match of a pattern began that more bytes could complete, or make longer. */
  readonly reach: Int32Array;
  /** The same of the triggers that are held. */
  readonly triggerReach: Int32Array;
  /** The longest pattern that ends in a state, or -1. */
  readonly longest: Int32Array;
  readonly lengths: Int32Array;
  /** The trigger that ends in a state, or -1. */
  readonly triggerIn: Int32Array;
  readonly triggerLengths: Int32Array;
  /** One step from any state; the slow way. */
  step(state: number, byte: number): number;
};

/**
 * Compiles patterns, which must all be different and not empty, and triggers, none of which may end with another.
 * Triggers are found wherever they stand, also within a pattern.
 */
export function compileAutomaton(
  patterns: readonly Uint8Array[],
  triggers: readonly Trigger[] = [],
): Automaton {
  const trie = buildTrie([...patterns, ...triggers.map(({ bytes }) => bytes)]);
  const { size, firstChild, byteInto, endOf } = trie;
  const reach = openDepths(trie, (index) => index < patterns.length);
  const triggerReach = openDepths(trie, (index) => triggers[index - patterns.length]?.held === true);
  const longest = new Int32Array(size).fill(-1);
  const triggerIn = new Int32Array(size).fill(-1);
  endOf.forEach((node, index) => {
    if (index < patterns.length) longest[node] = index;
    else triggerIn[node] = index - patterns.length;
  });
  const classOf = new Uint8Array(256);
  let classes = 1;
  for (let node = 1; node < size; node++) {
    const byte = byteInto[node] as number;
    // With all 256 bytes in use the last one shares class 0, whose entry is then exact for it too.
    if (classOf[byte] === 0 && classes < 256) classOf[byte] = classes++;
  }
  const rows = Math.min(size, Math.max(1, Math.floor(MAX_TABLE_ENTRIES / classes)));
  const table = new Int32Array(rows * classes);
  const fail = new Int32Array(size);

  const step = (from: number, byte: number): number => {
    for (let state = from; ; state = fail[state] as number) {
      if (state < rows) {
        const entry = table[state * classes + (classOf[byte] as number)] as number;
        return entry < 0 ? ~entry : entry / classes;
      }
      const end = firstChild[state + 1] as number;
      for (let child = firstChild[state] as number; child < end; child++) {
        if (byteInto[child] === byte) return child;
      }
    }
  };

  for (let state = 0; state < size; state++) {
    const row = state * classes;
    const failed = fail[state] as number;
    const hasRow = state < rows;
    if (hasRow && state > 0) table.copyWithin(row, failed * classes, (failed + 1) * classes);
    for (let child = firstChild[state] as number; child < (firstChild[state + 1] as number); child++) {
      const byte = byteInto[child] as number;
      const link = state === 0 ? 0 : step(failed, byte);
      fail[child] = link;
      // The pattern that ends in the state itself is longer than any that its fail link knows.
      if (longest[child] === -1) longest[child] = longest[link] as number;
      if (triggerIn[child] === -1) triggerIn[child] = triggerIn[link] as number;
      if (reach[child] === 0) reach[child] = reach[link] as number;
      if (triggerReach[child] === 0) triggerReach[child] = triggerReach[link] as number;
      const special = child >= rows || longest[child] !== -1 || triggerIn[child] !== -1;
      if (hasRow) table[row + (classOf[byte] as number)] = special ? ~child : child * classes;
    }
  }
  const lengths = Int32Array.from(patterns, (pattern) => pattern.length);
  const triggerLengths = Int32Array.from(triggers, ({ bytes }) => bytes.length);
  return {
    classOf,
    classes,
    rows,
    table,
    reach,
    triggerReach,
    longest,
    lengths,
    triggerIn,
    triggerLengths,
    step,
  };
}

/** The depth of every node below which one of the chosen patterns ends; 0 for the others. */
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

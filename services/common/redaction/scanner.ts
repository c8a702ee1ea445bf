import type { Automaton } from "./automaton.ts";
import { Hits } from "./hits.ts";

/**
 * Finds where patterns stand in a stream. Matches that overlap become one region, so that no byte of either is
 * left over; a region is called after its leftmost, then longest match.
 */
export class Scanner {
  /** How many bytes were scanned. */
  position = 0;
  /** The regions found and not yet taken, in order; `starts[head]` is the first. */
  readonly starts: number[] = [];
  readonly ends: number[] = [];
  readonly patterns: number[] = [];
  head = 0;
  readonly hits: Hits;
  readonly #automaton: Automaton;
  #state = 0;

  constructor(automaton: Automaton) {
    this.#automaton = automaton;
    this.hits = new Hits(automaton.triggerLengths);
  }

  /** Where the longest match began that may still come; nothing before it can change any more. */
  get settled(): number {
    return this.position - (this.#automaton.reach[this.#state] as number);
  }

  /** Where the longest held trigger began that may still come. */
  get triggerFrom(): number {
    return this.position - (this.#automaton.triggerReach[this.#state] as number);
  }

  scan(chunk: Uint8Array): void {
    const { table, classOf, classes, rows, longest, triggerIn, step } = this.#automaton;
    const length = chunk.length;
    const base = this.position;
    let state = this.#state;
    let at = 0;
    while (at < length) {
      if (state < rows) {
        let entry = state * classes;
        do {
          entry = table[entry + (classOf[chunk[at++] as number] as number)] as number;
        } while (entry >= 0 && at < length);
        if (entry >= 0) {
          state = entry / classes;
          break;
        }
        state = ~entry;
      } else {
        state = step(state, chunk[at++] as number);
      }
      const pattern = longest[state] as number;
      if (pattern !== -1) this.#found(base + at, pattern);
      const trigger = triggerIn[state] as number;
      if (trigger !== -1) this.hits.push(base + at, trigger);
    }
    this.#state = state;
    this.position = base + length;
  }

  /** Begins anew at `position`, as a new scanner would. */
  reset(position: number): void {
    this.position = position;
    this.#state = 0;
    this.head = 0;
    for (const list of [this.starts, this.ends, this.patterns]) if (list.length > 0) list.length = 0;
    this.hits.clear();
  }

  /** Goes on at `position` as if it had scanned `text` before; what that holds is not found again, but may go on. */
  resume(text: Uint8Array, position: number): void {
    this.position = position - text.length;
    this.scan(text);
    for (const list of [this.starts, this.ends, this.patterns]) list.length = 0;
    while (this.hits.takeBefore(position));
  }

  /** Forgets the first region. */
  shift(): void {
    this.head++;
    // Cleared now and then rather than each time, which would take quadratic time.
    if (this.head === this.starts.length) this.#drop(this.head);
    else if (this.head >= 1_024 && this.head * 2 > this.starts.length) this.#drop(this.head);
  }

  #drop(count: number): void {
    for (const list of [this.starts, this.ends, this.patterns]) list.splice(0, count);
    this.head -= count;
  }

  #found(end: number, found: number): void {
    const { starts, ends, patterns } = this;
    let start = end - (this.#automaton.lengths[found] as number);
    let pattern = found;
    while (ends.length > this.head && (ends[ends.length - 1] as number) > start) {
      const earlier = starts.pop() as number;
      const name = patterns.pop() as number;
      ends.pop();
      if (earlier < start) {
        start = earlier;
        pattern = name;
      }
    }
    starts.push(start);
    ends.push(end);
    patterns.push(pattern);
  }
}

/**
 * The last characters of a match as they were written, which its marker shows; undefined means that the
 * needle's own marker is used.
 */
export type Shown = Uint8Array | undefined;

/**
 * The regions of a stream that must be redacted, in order. Overlapping matches become one region, so that no
 * byte of either is left. A region counts as the needle of its leftmost match, or the longest of several that
 * begin there. Of several readings of one match, the one whose shown characters have the fewest bytes counts.
 */
export class Regions {
  /**
   * For each region, the position of its first byte. Regions with an index below `head` have been removed.
   */
  readonly starts: number[] = [];
  /** For each region, the position after its last byte. */
  readonly ends: number[] = [];
  /** For each region, the index of its needle. */
  readonly patterns: number[] = [];
  /** For each region, the characters that its marker shows. */
  readonly shown: Shown[] = [];
  /** The index of the first region that has not been removed. */
  head = 0;

  /**
   * The index of the last region's needle, if that region contains everything from `start` to `end`;
   * undefined otherwise.
   */
  covering(start: number, end: number): number | undefined {
    const last = this.starts.length - 1;
    const isInside =
      last >= this.head && (this.starts[last] as number) <= start && (this.ends[last] as number) >= end;
    return isInside ? this.patterns[last] : undefined;
  }

  /**
   * Adds a match of the needle with the index `found`, and merges it with earlier regions that it overlaps.
   * No match that is added later may end before this match begins.
   */
  add(from: number, to: number, found: number, shows: Shown): void {
    const { starts, ends, patterns, shown } = this;
    let start = from;
    let end = to;
    let pattern = found;
    let text = shows;
    while (ends.length > this.head && (ends[ends.length - 1] as number) > start) {
      const earlier = starts.pop() as number;
      const name = patterns.pop() as number;
      const earlierShown = shown.pop();
      const earlierEnd = ends.pop() as number;
      const isSameMatch = earlier === start && earlierEnd === end && name === pattern;
      if (isSameMatch && lengthOf(earlierShown) < lengthOf(text)) text = earlierShown;
      end = Math.max(end, earlierEnd);
      if (earlier < start) {
        start = earlier;
        pattern = name;
        text = earlierShown;
      }
    }
    starts.push(start);
    ends.push(end);
    patterns.push(pattern);
    shown.push(text);
  }

  /** Removes the first region. */
  shift(): void {
    this.head++;
    // Removed regions are cut off the lists only now and then, because doing so each time would take
    // quadratic time.
    if (this.head === this.starts.length) this.#drop(this.head);
    else if (this.head >= 1_024 && this.head * 2 > this.starts.length) this.#drop(this.head);
  }

  clear(): void {
    if (this.starts.length > 0) this.#drop(this.starts.length);
    this.head = 0;
  }

  #drop(count: number): void {
    for (const list of [this.starts, this.ends, this.patterns, this.shown]) list.splice(0, count);
    this.head -= count;
  }
}

function lengthOf(shown: Shown): number {
  return shown?.length ?? 0;
}

import type { JsonEdits } from "./edits.ts";
import { PartedNames } from "./parted-names.ts";

type RedactedKey = {
  readonly start: number;
  readonly end: number;
  readonly name: string;
  /** The index of an empty edit after the key, where a number may be added later. */
  readonly suffixEdit: number;
};

type OpenObject = { readonly firstKey: number; redacted: RedactedKey[] | undefined };

const BACKSLASH = 0x5c;
/** The byte `[`, with which every marker begins. A key without it cannot be equal to a redacted key. */
const MARKER_BEGINS = 0x5b;
const STEP_KEYS = 1_000;

/** Keeps the keys of each object distinct: a redacted key that would equal another key gets a number. */
export class KeyNames {
  readonly #text: Buffer;
  readonly #edits: JsonEdits;
  readonly #open: OpenObject[] = [];
  /** Start and end offsets of all keys of the open objects, one after the other. */
  readonly #spans: number[] = [];

  constructor(text: Buffer, edits: JsonEdits) {
    this.#text = text;
    this.#edits = edits;
  }

  open(): void {
    this.#open.push({ firstKey: this.#spans.length, redacted: undefined });
  }

  /**
   * Adds a key to the innermost object, in steps. The key's edits are those from the index `firstEdit` on.
   */
  *key(start: number, end: number, firstEdit: number): Generator<void> {
    this.#spans.push(start, end);
    if (this.#edits.count === firstEdit) return;
    const object = this.#open[this.#open.length - 1] as OpenObject;
    const name: string = JSON.parse(`"${yield* this.#edits.reading(start, end, firstEdit)}"`);
    object.redacted ??= [];
    object.redacted.push({ start, end, name, suffixEdit: this.#edits.count });
    this.#edits.add(end, end, "");
  }

  /**
   * Whether a key of the innermost object was redacted, so that its keys must be made distinct when it
   * closes.
   */
  get isRedacted(): boolean {
    return this.#open[this.#open.length - 1]?.redacted !== undefined;
  }

  /** Ends the innermost object and makes its keys distinct, in steps of about a millisecond. */
  *close(): Generator<void> {
    const { firstKey, redacted } = this.#open.pop() as OpenObject;
    if (redacted) yield* this.#number(redacted, yield* this.#untouched(firstKey, redacted));
    this.#spans.length = firstKey;
  }

  /**
   * Collects, in steps, the names of keys that were not redacted but may hold a marker. Only such a name can
   * equal a redacted key.
   */
  *#untouched(firstKey: number, redacted: readonly RedactedKey[]): Generator<void, PartedNames> {
    const names = new PartedNames();
    let next = 0;
    for (let at = firstKey; at < this.#spans.length; at += 2) {
      if (at % (2 * STEP_KEYS) === 0) yield;
      const start = this.#spans[at] as number;
      const end = this.#spans[at + 1] as number;
      if (redacted[next]?.start === start) next++;
      else if (this.#mayHoldMarker(start, end)) {
        names.set(JSON.parse(this.#text.toString("utf8", start - 1, end + 1)), 0);
      }
    }
    return names;
  }

  #mayHoldMarker(start: number, end: number): boolean {
    for (let at = start; at < end; at++) {
      const byte = this.#text[at];
      if (byte === MARKER_BEGINS || byte === BACKSLASH) return true;
    }
    return false;
  }

  *#number(redacted: readonly RedactedKey[], taken: PartedNames): Generator<void> {
    const lastNumber = new PartedNames();
    let count = 0;
    for (const { name, suffixEdit } of redacted) {
      if (++count % STEP_KEYS === 0) yield;
      let number = lastNumber.get(name) ?? 1;
      const suffix = () => (number === 1 ? "" : ` (${number})`);
      while (taken.has(name + suffix())) number++;
      taken.set(name + suffix(), 0);
      lastNumber.set(name, number);
      this.#edits.change(suffixEdit, suffix());
    }
  }
}

import type { JsonEdits } from "./edits.ts";
import { PartedNames } from "./parted-names.ts";

type RedactedKey = {
  readonly start: number;
  readonly end: number;
  readonly name: string;
  /** The empty edit behind the key, where a suffix may go. */
  readonly suffixEdit: number;
};

type OpenObject = { readonly firstKey: number; redacted: RedactedKey[] | undefined };

const BACKSLASH = 0x5c;
/** Every name that a redaction makes holds the first character of a marker. */
const MARKER_BEGINS = 0x5b;
const STEP_KEYS = 1_000;

/** Keeps the keys of each object apart: redacted ones that would become equal to another key get a number. */
export class KeyNames {
  readonly #text: Buffer;
  readonly #edits: JsonEdits;
  readonly #open: OpenObject[] = [];
  /** Start and end of every key of the open objects. */
  readonly #spans: number[] = [];

  constructor(text: Buffer, edits: JsonEdits) {
    this.#text = text;
    this.#edits = edits;
  }

  open(): void {
    this.#open.push({ firstKey: this.#spans.length, redacted: undefined });
  }

  /** Takes note of a key of the innermost object, in steps; its edits are those from `firstEdit` on. */
  *key(start: number, end: number, firstEdit: number): Generator<void> {
    this.#spans.push(start, end);
    if (this.#edits.count === firstEdit) return;
    const object = this.#open[this.#open.length - 1] as OpenObject;
    const name: string = JSON.parse(`"${yield* this.#edits.reading(start, end, firstEdit)}"`);
    object.redacted ??= [];
    object.redacted.push({ start, end, name, suffixEdit: this.#edits.count });
    this.#edits.add(end, end, "");
  }

  /** Whether the keys of the innermost object have to be told apart when it is closed. */
  get isRedacted(): boolean {
    return this.#open[this.#open.length - 1]?.redacted !== undefined;
  }

  /** Closes the innermost object, in steps of about a millisecond. */
  *close(): Generator<void> {
    const { firstKey, redacted } = this.#open.pop() as OpenObject;
    if (redacted) yield* this.#number(redacted, yield* this.#untouched(firstKey, redacted));
    this.#spans.length = firstKey;
  }

  /** The names of the other keys that a redacted one could be equal to. */
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

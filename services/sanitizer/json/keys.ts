import type { JsonEdits } from "./edits.ts";
import { PartedNames } from "./parted-names.ts";

type RedactedKey = {
  readonly start: number;
  readonly end: number;
  readonly name: string;
  /**
   * The index, among the document's edits, of an empty edit at the end of the key. This edit later gets a
   * number such as ` (2)` when the redacted key would equal another key.
   */
  readonly suffixEdit: number;
};

type OpenObject = { readonly firstKey: number; redacted: RedactedKey[] | undefined };

const BACKSLASH = 0x5c;
/**
 * The byte `[`, with which every redaction marker (`[REDACTED]`) begins. A key without this byte and without
 * escapes cannot equal a redacted key.
 */
const MARKER_BEGINS = 0x5b;
const STEP_KEYS = 1_000;

/**
 * Keeps the keys of each JSON object distinct: a redacted key that would equal another key of its object gets
 * a number, such as `[REDACTED] (2)`.
 */
export class KeyNames {
  readonly #text: Buffer;
  readonly #edits: JsonEdits;
  readonly #open: OpenObject[] = [];
  /**
   * The start offset and the end offset in the document of each key of the objects that are not closed yet,
   * in one flat list.
   */
  readonly #spans: number[] = [];

  constructor(text: Buffer, edits: JsonEdits) {
    this.#text = text;
    this.#edits = edits;
  }

  open(): void {
    this.#open.push({ firstKey: this.#spans.length, redacted: undefined });
  }

  /**
   * Records a key of the innermost open object; `start` and `end` are the key's byte offsets without quotes.
   * The edits from the index `firstEdit` on belong to this key; without any, the key was not redacted. Yields
   * now and then, so that other work can run.
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
   * Whether a key of the innermost open object was redacted. `close` must then keep the object's keys
   * distinct.
   */
  get isRedacted(): boolean {
    return this.#open[this.#open.length - 1]?.redacted !== undefined;
  }

  /**
   * Closes the innermost object and numbers the redacted keys that would equal another key of this object.
   * Yields about every millisecond, so that other work can run.
   */
  *close(): Generator<void> {
    const { firstKey, redacted } = this.#open.pop() as OpenObject;
    if (redacted) yield* this.#number(redacted, yield* this.#untouched(firstKey, redacted));
    this.#spans.length = firstKey;
  }

  /**
   * Collects the names of the object's keys that were not redacted but may contain a redaction marker,
   * because only such a name can equal a redacted key. Yields after every 1,000 keys, so that other work can
   * run.
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

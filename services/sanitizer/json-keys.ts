import type { JsonEdits } from "./json-edits.ts";

type RedactedKey = {
  readonly start: number;
  readonly end: number;
  readonly name: string;
  /** The empty edit behind the key, where a suffix may go. */
  readonly suffixEdit: number;
};

type OpenObject = { readonly firstKey: number; redacted: RedactedKey[] | undefined };

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

  /** Takes note of a key of the innermost object; its edits are those from `firstEdit` on. */
  key(start: number, end: number, firstEdit: number): void {
    this.#spans.push(start, end);
    if (this.#edits.count === firstEdit) return;
    const object = this.#open[this.#open.length - 1] as OpenObject;
    const name: string = JSON.parse(`"${this.#edits.reading(start, end, firstEdit)}"`);
    object.redacted ??= [];
    object.redacted.push({ start, end, name, suffixEdit: this.#edits.count });
    this.#edits.add(end, end, "");
  }

  close(): void {
    const { firstKey, redacted } = this.#open.pop() as OpenObject;
    if (redacted) this.#number(redacted, this.#untouched(firstKey, redacted));
    this.#spans.length = firstKey;
  }

  #untouched(firstKey: number, redacted: readonly RedactedKey[]): Set<string> {
    const changed = new Set(redacted.map((key) => key.start));
    const names = new Set<string>();
    for (let at = firstKey; at < this.#spans.length; at += 2) {
      const start = this.#spans[at] as number;
      if (changed.has(start)) continue;
      names.add(JSON.parse(this.#text.toString("utf8", start - 1, (this.#spans[at + 1] as number) + 1)));
    }
    return names;
  }

  #number(redacted: readonly RedactedKey[], taken: Set<string>): void {
    const lastNumber = new Map<string, number>();
    for (const { name, suffixEdit } of redacted) {
      let number = lastNumber.get(name) ?? 1;
      const suffix = () => (number === 1 ? "" : ` (${number})`);
      while (taken.has(name + suffix())) number++;
      taken.add(name + suffix());
      lastNumber.set(name, number);
      this.#edits.change(suffixEdit, suffix());
    }
  }
}

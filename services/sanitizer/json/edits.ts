const STEP_EDITS = 1_000;

/**
 * Bytes of the largest piece in which the edited document is returned. Making a piece that is full of edits
 * takes a few milliseconds.
 */
const PIECE_BYTES = 64 * 1024;

/** The replacements in a JSON document, in the order of their positions. All other bytes stay. */
export class JsonEdits {
  readonly #text: Buffer;
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  readonly #replacements: string[] = [];

  constructor(text: Buffer) {
    this.#text = text;
  }

  get count(): number {
    return this.#starts.length;
  }

  add(start: number, end: number, replacement: string): void {
    this.#starts.push(start);
    this.#ends.push(end);
    this.#replacements.push(replacement);
  }

  /** Changes the text that the edit at `index` inserts. */
  change(index: number, replacement: string): void {
    this.#replacements[index] = replacement;
  }

  /**
   * The document's text from the byte offset `start` to `end`, with the edits from the index `firstEdit` on
   * applied. All these edits must lie in that range. Yields after every 1,000 edits, so that other work can
   * run.
   */
  *reading(start: number, end: number, firstEdit: number): Generator<void, string> {
    let reading = "";
    let at = start;
    for (let index = firstEdit; index < this.count; index++) {
      if ((index - firstEdit) % STEP_EDITS === STEP_EDITS - 1) yield;
      reading += this.#text.toString("utf8", at, this.#starts[index]) + this.#replacements[index];
      at = this.#ends[index] as number;
    }
    return reading + this.#text.toString("utf8", at, end);
  }

  /** The document after all edits, in pieces of at most `PIECE_BYTES`. */
  *pieces(): Generator<Buffer> {
    let parts: Uint8Array[] = [];
    let size = 0;
    for (const part of this.#parts()) {
      for (let at = 0; at < part.length; ) {
        const taken = part.subarray(at, at + PIECE_BYTES - size);
        parts.push(taken);
        at += taken.length;
        size += taken.length;
        if (size < PIECE_BYTES) continue;
        yield Buffer.concat(parts);
        parts = [];
        size = 0;
      }
    }
    if (size > 0) yield Buffer.concat(parts);
  }

  *#parts(): Generator<Uint8Array> {
    let at = 0;
    let written: string | undefined;
    let replacement = Buffer.alloc(0);
    for (let index = 0; index < this.count; index++) {
      yield this.#text.subarray(at, this.#starts[index]);
      // The bytes of the last replacement are reused, because consecutive edits often have the same
      // replacement.
      if (this.#replacements[index] !== written) {
        written = this.#replacements[index] as string;
        replacement = Buffer.from(written);
      }
      yield replacement;
      at = this.#ends[index] as number;
    }
    yield this.#text.subarray(at);
  }
}

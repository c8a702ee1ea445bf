import { Fifo } from "../common/redaction/fifo.ts";
import { RedactionCounts } from "../common/redaction/redaction-counts.ts";
import { type SecondPass, TextRedactor, type Triggers } from "../common/redaction/text-redactor.ts";
import type { ResponseFilter } from "./response-filter.ts";

/** A piece of the redacted text, and where in the text it began. */
type Piece = { readonly bytes: Uint8Array; readonly from: number; readonly isPlain: boolean };

/**
 * Redacts one text and lets each byte of it go exactly when `lagBytes` more have come, or at the end. A redactor alone
 * lets go of what cannot be a secret and keeps what may become one: a script whose words a server repeats could read from
 * that, letter by letter, how a secret begins. Here only a whole secret makes a difference.
 */
export class LaggingRedactor {
  readonly #redactor: TextRedactor;
  readonly #lagBytes: number;
  readonly #held = new Fifo<Piece>();
  /** The pieces of plain text of the last call, by their place among all pieces. */
  readonly #plainFrom = new Map<number, number>();
  /** How many bytes of the first piece that is held have left. */
  #goneOfFirst = 0;
  #taken = 0;
  /** Where the text that the redactor gave last ends. */
  #givenTo = 0;

  constructor({ needles, lagBytes }: ResponseFilter) {
    this.#lagBytes = lagBytes;
    const positions: SecondPass = {
      text: (bytes: Uint8Array, from: number, _triggers: Triggers, pieces: Uint8Array[]) => {
        this.#plainFrom.set(pieces.length, from);
        pieces.push(bytes);
      },
      gap: () => undefined,
      end: () => 0,
    };
    this.#redactor = new TextRedactor(needles, new RedactionCounts(), positions);
  }

  /** Takes the next bytes and returns those that leave now. */
  push(chunk: Uint8Array): Uint8Array[] {
    this.#taken += chunk.length;
    this.#hold(this.#redactor.push(chunk));
    return this.#releaseTo(this.#taken - this.#lagBytes);
  }

  /** Ends the text; returns what is left of it. */
  end(): Uint8Array[] {
    this.#hold(this.#redactor.end(false).pieces);
    return this.#releaseTo(Number.POSITIVE_INFINITY);
  }

  #hold(pieces: readonly Uint8Array[]): void {
    pieces.forEach((bytes, index) => {
      const from = this.#plainFrom.get(index);
      if (from !== undefined) this.#givenTo = from + bytes.length;
      this.#held.push({ bytes: compact(bytes), from: from ?? this.#givenTo, isPlain: from !== undefined });
    });
    this.#plainFrom.clear();
  }

  #releaseTo(position: number): Uint8Array[] {
    const released: Uint8Array[] = [];
    for (let piece = this.#held.first; piece; piece = this.#held.first) {
      const { bytes, from, isPlain } = piece;
      if (from + this.#goneOfFirst >= position) break;
      const leaves = isPlain ? Math.min(bytes.length, position - from) : bytes.length;
      released.push(bytes.subarray(this.#goneOfFirst, leaves));
      this.#goneOfFirst = leaves < bytes.length ? leaves : 0;
      if (leaves < bytes.length) break;
      this.#held.shift();
    }
    return released;
  }
}

/** What is held must not keep a whole message in memory. */
function compact(bytes: Uint8Array): Uint8Array {
  return bytes.length * 2 < bytes.buffer.byteLength ? Buffer.from(bytes) : bytes;
}

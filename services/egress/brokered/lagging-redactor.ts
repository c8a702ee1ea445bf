import type { NeedleSet } from "#common/redaction/needles/needle-set.ts";
import { RedactionCounts } from "#common/redaction/redaction-counts.ts";
import { type SecondPass, TextRedactor, type Triggers } from "#common/redaction/text-redactor.ts";
import type { ResponseFilter } from "./response-filter.ts";

/**
 * A part of the redacted text: plain text (`isPlain`), or the replacement of secrets. `from` and `to` are
 * positions in the unredacted text that has not been released yet.
 */
type Piece = {
  readonly bytes: Uint8Array;
  readonly from: number;
  readonly to: number;
  readonly isPlain: boolean;
};

/**
 * Bytes of the longest run of overlapping secrets. A response with a longer run breaks off with an error; no
 * useful response has one.
 */
const MAX_REGION_BYTES = 64 * 1024;

/**
 * Redacts a text and releases each byte exactly when `lagBytes` more bytes have arrived, or at the end. A
 * plain TextRedactor releases text that cannot be a secret and holds back text that may become one. A script
 * whose words a server repeats could watch that and guess a secret letter by letter. With a constant lag,
 * only a complete secret makes a difference.
 *
 * Therefore no TextRedactor is kept from one piece of the text to the next: a new TextRedactor, which
 * searches all bytes that are not released yet, decides what is released.
 */
export class LaggingRedactor {
  readonly #needles: NeedleSet;
  readonly #lagBytes: number;
  /** Text that has arrived and is not released yet. */
  #window: Buffer = Buffer.alloc(0);

  constructor(filter: ResponseFilter) {
    this.#needles = filter.needles;
    this.#lagBytes = filter.lagBytes;
  }

  /**
   * Takes the next bytes and returns the bytes that are released now. Throws when secrets overlap for longer
   * than MAX_REGION_BYTES.
   */
  push(chunk: Uint8Array): Uint8Array[] {
    // Concatenation also copies the bytes that earlier messages left in the window, so that a few held bytes
    // do not keep a whole message in memory.
    this.#window = Buffer.concat([this.#window, chunk]);
    const lagBytes = this.#lagBytes;
    const released = this.#releaseTo(this.#window.length - lagBytes);
    if (this.#window.length > lagBytes + MAX_REGION_BYTES) throw new Error("secrets overlap without end");
    return released;
  }

  /** Marks the end of the text and returns the rest of the redacted text. */
  end(): Uint8Array[] {
    return this.#releaseTo(Number.POSITIVE_INFINITY);
  }

  #releaseTo(position: number): Uint8Array[] {
    if (position <= 0 || this.#window.length === 0) return [];
    const released: Uint8Array[] = [];
    let done = 0;
    for (const { bytes, from, to, isPlain } of this.#pieces()) {
      // The replacement of a secret that reaches beyond `position` is not released yet, because another
      // secret may have begun inside that secret.
      if (from >= position || (!isPlain && to > position)) break;
      done = Math.min(to, position);
      released.push(isPlain ? bytes.subarray(0, done - from) : bytes);
    }
    this.#window = this.#window.subarray(done);
    return released;
  }

  #pieces(): Piece[] {
    const plainFrom = new Map<Uint8Array, number>();
    const secretsTo: number[] = [];
    const positions: SecondPass = {
      text: (bytes: Uint8Array, from: number, _triggers: Triggers, pieces: Uint8Array[]) => {
        plainFrom.set(bytes, from);
        pieces.push(bytes);
      },
      gap: (_pieces, to) => void secretsTo.push(to),
      end: () => 0,
    };
    const redactor = new TextRedactor(this.#needles, new RedactionCounts(), positions);
    const pieces: Piece[] = [];
    for (const bytes of [...redactor.push(this.#window), ...redactor.end(false).pieces]) {
      const plain = plainFrom.get(bytes);
      const isPlain = plain !== undefined;
      const from = plain ?? pieces.at(-1)?.to ?? 0;
      const to = isPlain ? from + bytes.length : (secretsTo.shift() ?? this.#window.length);
      pieces.push({ bytes, from, to, isPlain });
    }
    return pieces;
  }
}

import type { NeedleSet } from "#common/redaction/needles/needle-set.ts";
import { RedactionCounts } from "#common/redaction/redaction-counts.ts";
import { type SecondPass, TextRedactor, type Triggers } from "#common/redaction/text-redactor.ts";
import type { ResponseFilter } from "./response-filter.ts";

/** A part of the text as it leaves: plain, or what stands in the place of secrets. */
type Piece = {
  readonly bytes: Uint8Array;
  readonly from: number;
  readonly to: number;
  readonly isPlain: boolean;
};

/** Secrets that overlap without end are no response that anybody needs. */
const MAX_REGION_BYTES = 64 * 1024;

/**
 * Redacts one text and lets each byte of it go exactly when `lagBytes` more have come, or at the end. A redactor alone
 * lets go of what cannot be a secret and keeps what may become one: a script whose words a server repeats could read from
 * that, letter by letter, how a secret begins. Here only a whole secret makes a difference.
 *
 * So nothing of a redactor's state is kept: what may leave is decided by a new one that has the lag in view as well.
 */
export class LaggingRedactor {
  readonly #needles: NeedleSet;
  readonly #lagBytes: number;
  /** What has not left. */
  #window: Buffer = Buffer.alloc(0);

  constructor(filter: ResponseFilter) {
    this.#needles = filter.needles;
    this.#lagBytes = filter.lagBytes;
  }

  /** Takes the next bytes and returns those that leave now. Throws when secrets overlap for longer than any text would. */
  push(chunk: Uint8Array): Uint8Array[] {
    // A copy also of what is left of it: a few bytes that are held must not keep a whole message in memory.
    this.#window = Buffer.concat([this.#window, chunk]);
    const lagBytes = this.#lagBytes;
    const released = this.#releaseTo(this.#window.length - lagBytes);
    if (this.#window.length > lagBytes + MAX_REGION_BYTES) throw new Error("secrets overlap without end");
    return released;
  }

  /** Ends the text; returns what is left of it. */
  end(): Uint8Array[] {
    return this.#releaseTo(Number.POSITIVE_INFINITY);
  }

  #releaseTo(position: number): Uint8Array[] {
    if (position <= 0 || this.#window.length === 0) return [];
    const released: Uint8Array[] = [];
    let done = 0;
    for (const { bytes, from, to, isPlain } of this.#pieces()) {
      // Another secret may have begun inside one that has just ended.
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

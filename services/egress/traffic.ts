import { Transform } from "node:stream";
import { Refusal } from "./refusal.ts";

export type Direction = "in" | "out";

/** Bytes that one run may still move, each way. */
export class Traffic {
  readonly bytes: Record<Direction, number> = { in: 0, out: 0 };
  readonly #maxBytes: number;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Throws a Refusal once the run has moved more than it may. */
  count(direction: Direction, bytes: number): void {
    this.bytes[direction] += bytes;
    if (this.bytes[direction] <= this.#maxBytes) return;
    const limit = `${this.#maxBytes / 1024 / 1024} MB`;
    throw new Refusal(
      403,
      "over_limit",
      `Airlock ended the connection: the run moved more than ${limit} ${direction}, its project's limits.network_mb`,
    );
  }

  /** A stream that passes everything on and breaks when the limit is reached. */
  meter(direction: Direction): Transform {
    return new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        try {
          this.count(direction, chunk.length);
          done(null, chunk);
        } catch (error) {
          done(error as Error);
        }
      },
    });
  }
}

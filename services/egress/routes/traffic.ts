import { Transform } from "node:stream";
import { NO_OWNER } from "#common/event-loop/turn.ts";
import { Refusal } from "../policy/refusal.ts";
import { MIN_COUNTED_BYTES, ONE_PIECE, restAfter } from "../short-pieces.ts";

/** The direction of bytes, seen from the run: "in" is received, "out" is sent. */
export type Direction = "in" | "out";

/** Counts the bytes that one run sends and receives, and limits each direction. */
export class Traffic {
  /** The bytes that the run has moved so far, by direction. */
  readonly bytes: Record<Direction, number> = { in: 0, out: 0 };
  readonly #maxBytes: number;
  /** The project whose share of the event loop the work for this run uses. */
  readonly owner: string;

  constructor(maxBytes: number, owner = NO_OWNER) {
    this.#maxBytes = maxBytes;
    this.owner = owner;
  }

  /** Counts bytes. Throws a Refusal when the run has now moved more than its limit in this direction. */
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

  /**
   * A stream that passes all bytes on, counts them, and fails with a Refusal when the run exceeds its limit.
   */
  meter(direction: Direction): Transform {
    return new Transform({
      highWaterMark: ONE_PIECE,
      transform: (chunk: Buffer, _encoding, done) => {
        try {
          this.count(direction, Math.max(chunk.length, MIN_COUNTED_BYTES));
        } catch (error) {
          return done(error as Error);
        }
        const rest = restAfter(chunk, this.owner);
        if (rest) void rest.then(() => done(null, chunk));
        else done(null, chunk);
      },
    });
  }
}

import { AirlockError } from "../services/common/errors.ts";

const MIB = 1024 * 1024;

/** The first bytes of each body count apart from the rest, so that large bodies never keep a small one out. */
const SMALL_BYTES = 64 * 1024;
/** Half of a thousand bodies at that size, or all the scripts that a machine can start. */
const MAX_SMALL_BYTES = 32 * MIB;
/** Four bodies of the largest size. */
const MAX_LARGE_BYTES = 64 * MIB;
/** A body that has not arrived after this time goes first when there is no room for another. */
const SLOW_AFTER_MS = 5_000;

/** The room that one body takes up. */
export type BodyHold = {
  /** Counts `bytes` that arrived. Throws `overloaded` when there is no room for them. */
  add(bytes: number): void;
  /** All has arrived: from now on the hold is not given up for another body. */
  complete(): void;
  /** Gives the room back. */
  release(): void;
};

type Receiving = { readonly beganMs: number; readonly giveUp: () => void };

/**
 * Bounds the bytes of all bodies that the gateway holds: those that arrive, and those that the router has not taken yet.
 * Clients that send bodies slowly, or only half of each, hold room for five seconds and not for the two minutes that a
 * request may take, once others need it.
 */
export class BodyBudget {
  #small = 0;
  #large = 0;
  /** Those that have not arrived completely, oldest first. */
  readonly #receiving = new Set<Receiving>();
  readonly #now: () => number;

  constructor(now: () => number = performance.now.bind(performance)) {
    this.#now = now;
  }

  /** The bytes that are held. */
  get bytes(): number {
    return this.#small + this.#large;
  }

  /** Opens a hold; `onGivenUp` is called when its room is needed for another body. */
  open(onGivenUp: (error: AirlockError) => void): BodyHold {
    let bytes = 0;
    const release = () => {
      this.#receiving.delete(receiving);
      this.#count(bytes, 0);
      bytes = 0;
    };
    const giveUp = () => {
      release();
      onGivenUp(overloaded());
    };
    const receiving: Receiving = { beganMs: this.#now(), giveUp };
    this.#receiving.add(receiving);
    return {
      add: (more) => {
        this.#makeRoom(bytes, bytes + more, receiving);
        this.#count(bytes, bytes + more);
        bytes += more;
      },
      complete: () => void this.#receiving.delete(receiving),
      release,
    };
  }

  #makeRoom(before: number, after: number, asking: Receiving): void {
    const small = smallPart(after) - smallPart(before);
    const large = after - before - small;
    const lacks = () => this.#small + small > MAX_SMALL_BYTES || this.#large + large > MAX_LARGE_BYTES;
    for (const oldest of this.#receiving) {
      if (!lacks()) return;
      if (oldest === asking) continue;
      if (this.#now() - oldest.beganMs < SLOW_AFTER_MS) break;
      oldest.giveUp();
    }
    if (lacks()) throw overloaded();
  }

  #count(before: number, after: number): void {
    const small = smallPart(after) - smallPart(before);
    this.#small += small;
    this.#large += after - before - small;
  }
}

function smallPart(bytes: number): number {
  return Math.min(bytes, SMALL_BYTES);
}

function overloaded(): AirlockError {
  return new AirlockError(
    "overloaded",
    `Too many large requests are on their way at once: the bodies of all of them may have ${MAX_LARGE_BYTES / MIB} MiB together. Nothing was started; send the request again after the seconds in Retry-After, or send less and let the script fetch the data itself.`,
  );
}

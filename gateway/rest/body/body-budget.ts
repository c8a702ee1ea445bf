import { AirlockError } from "#common/errors.ts";

const MIB = 1024 * 1024;

/** The first bytes of each body count apart from the rest, so that large bodies never keep a small one out. */
const SMALL_BYTES = 64 * 1024;
/** Half of a thousand bodies at that size, or all the scripts that a machine can start. */
const MAX_SMALL_BYTES = 32 * MIB;
/** Four bodies of the largest size. */
const MAX_LARGE_BYTES = 64 * MIB;
/** A body moves when it begins and with each further so many bytes: fewer, sent now and then, do not keep its room. */
const MOVE_BYTES = SMALL_BYTES;
/** A body of which more is held than SMALL_BYTES keeps that room for so long after it has moved, if another needs it. */
const STILL_AFTER_MS = 1_000;
/** And for so long in all. */
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

type Receiving = { readonly beganMs: number; movedMs: number; bytes: number; readonly giveUp: () => void };

/**
 * Bounds the bytes of all bodies that the gateway holds: those that arrive, and those that the router has not taken yet.
 * Bodies that are only half sent give way to others. In the room for first bytes the one that has not moved for longest
 * goes at once, so that no number of them keeps a whole small body out. In the room for the rest, where bodies take their
 * time, only those go that stand still or are slow.
 */
export class BodyBudget {
  #small = 0;
  #large = 0;
  /** Those that have not arrived completely; first the one that has not moved for longest. */
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
    const release = () => {
      this.#receiving.delete(receiving);
      this.#count(receiving.bytes, 0);
      receiving.bytes = 0;
    };
    const giveUp = () => {
      release();
      onGivenUp(overloaded());
    };
    const beganMs = this.#now();
    const receiving: Receiving = { beganMs, movedMs: beganMs, bytes: 0, giveUp };
    return {
      add: (more) => {
        const before = receiving.bytes;
        this.#makeRoom(before, before + more, receiving);
        this.#count(before, before + more);
        receiving.bytes += more;
        if (before === 0 || moves(before) !== moves(receiving.bytes)) this.#moved(receiving);
      },
      complete: () => void this.#receiving.delete(receiving),
      release,
    };
  }

  #moved(receiving: Receiving): void {
    receiving.movedMs = this.#now();
    this.#receiving.delete(receiving);
    this.#receiving.add(receiving);
  }

  #makeRoom(before: number, after: number, asking: Receiving): void {
    const small = smallPart(after) - smallPart(before);
    const large = after - before - small;
    const lacksSmall = () => this.#small + small > MAX_SMALL_BYTES;
    const lacksLarge = () => this.#large + large > MAX_LARGE_BYTES;
    for (const other of this.#receiving) {
      if (!lacksSmall() && !lacksLarge()) return;
      if (other === asking) continue;
      if (lacksSmall() || (other.bytes > SMALL_BYTES && this.#isSlow(other))) other.giveUp();
    }
    if (lacksSmall() || lacksLarge()) throw overloaded();
  }

  #isSlow({ beganMs, movedMs }: Receiving): boolean {
    const now = this.#now();
    return now - movedMs >= STILL_AFTER_MS || now - beganMs >= SLOW_AFTER_MS;
  }

  #count(before: number, after: number): void {
    const small = smallPart(after) - smallPart(before);
    this.#small += small;
    this.#large += after - before - small;
  }
}

function moves(bytes: number): number {
  return Math.floor(bytes / MOVE_BYTES);
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

import { AirlockError } from "#common/errors.ts";

const MIB = 1024 * 1024;

/**
 * Bytes at the beginning of each body that are counted in a budget of their own, so that large bodies never
 * take the memory that a small one needs.
 */
const SMALL_BYTES = 64 * 1024;
/**
 * Bytes of the budget for the first SMALL_BYTES of every body: enough for 500 bodies, or for every script
 * that a machine can start at once.
 */
const MAX_SMALL_BYTES = 32 * MIB;
/**
 * Bytes of the budget for the rest of every body, after its first SMALL_BYTES: four bodies of the largest
 * size.
 */
const MAX_LARGE_BYTES = 64 * MIB;
/**
 * A body makes progress when its first byte arrives, and again each time that this many further bytes have
 * arrived. A client that sends a byte now and then makes no progress, so it does not keep its memory that
 * way.
 */
const MOVE_BYTES = SMALL_BYTES;
/**
 * Milliseconds without progress after which an incomplete body larger than SMALL_BYTES is dropped when
 * another body needs its memory.
 */
const STILL_AFTER_MS = 1_000;
/**
 * Milliseconds since its first byte after which an incomplete body larger than SMALL_BYTES is dropped when
 * another body needs its memory.
 */
const SLOW_AFTER_MS = 5_000;

/** The memory that is counted for one request body. */
export type BodyHold = {
  /** Counts `bytes` that arrived. Throws `overloaded` when the budget has no memory for them. */
  add(bytes: number): void;
  /** Marks the body as complete. From now on it is not dropped for another body. */
  complete(): void;
  /** Frees the memory that is counted for this body. */
  release(): void;
};

type Receiving = { readonly beganMs: number; movedMs: number; bytes: number; readonly giveUp: () => void };

/**
 * Limits the bytes of all request bodies in memory: bodies that are arriving, and bodies that the router has
 * not taken yet. An incomplete body is dropped, and its request refused with `overloaded`, when another body
 * needs the memory. In the budget for the first SMALL_BYTES of each body, the body without progress for the
 * longest time is dropped at once, so that no number of incomplete bodies keeps a small complete one out. In
 * the budget for the rest, large bodies may take their time: only bodies that make no progress or are slow
 * are dropped.
 */
export class BodyBudget {
  #small = 0;
  #large = 0;
  /** Incomplete bodies, ordered by the time of their last progress, oldest first. */
  readonly #receiving = new Set<Receiving>();
  readonly #now: () => number;

  constructor(now: () => number = performance.now.bind(performance)) {
    this.#now = now;
  }

  /** Bytes of all bodies in memory now. */
  get bytes(): number {
    return this.#small + this.#large;
  }

  /**
   * Starts counting a body. `onGivenUp` is called when the body is dropped because another one needs the
   * memory.
   */
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
        this.#freeMemory(before, before + more, receiving);
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

  #freeMemory(before: number, after: number, asking: Receiving): void {
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

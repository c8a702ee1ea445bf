import { AirlockError, callCancelled } from "#common/errors.ts";

const MIB = 1024 * 1024;

/**
 * Bytes of all large answers together that the gateway holds at most: four executions at the usual limits.
 */
const MAX_BYTES = 128 * MIB;
/**
 * Bytes of the largest answer that counts as small. Small answers have a budget of their own, so that large
 * answers never delay them.
 */
export const SMALL_BYTES = 256 * 1024;
/** Bytes of all small answers together. */
const MAX_SMALL_BYTES = 32 * MIB;
/** Milliseconds that a large answer waits for memory before it is refused with `overloaded`. */
const WAIT_MS = 5_000;
/** Milliseconds between two attempts to give memory to the answers that wait for it. */
const LOOK_EVERY_MS = 250;
/**
 * Milliseconds after which a client that reads its answer slowly may be cut off, when another answer needs
 * the memory.
 */
const SLOW_AFTER_MS = 5_000;
/** Bytes per millisecond below which a client reads slowly: 1 MiB per second. */
const SLOW_BYTES_PER_MS = MIB / 1_000;

/** The client's connection over which an answer is sent, as far as the budget needs it. */
export type AnswerWay = {
  /** Bytes of the answer that the kernel has accepted for the client so far. */
  taken(): number;
  /**
   * Closes the connection before the answer is complete, so that the answer's memory is free for another one.
   */
  giveUp(): void;
};

/** The memory of the answer budget that is reserved for one answer. */
export type AnswerHold = {
  /** Bytes that count for the answer now; 0: none are reserved. */
  readonly bytes: number;
  /**
   * Resolves when `bytes` of memory are free. Rejects with `overloaded` after five seconds, or with
   * `cancelled` when `signal` aborts.
   */
  reserve(bytes: number, signal?: AbortSignal): Promise<void>;
  /**
   * Called when sending begins: the answer counts as `bytes` from now on, not as the number that was reserved
   * for it.
   */
  sending(bytes: number, way: AnswerWay): void;
  /**
   * Frees the answer's memory, when it was sent or its connection is closed, and serves answers that wait for
   * memory.
   */
  release(): void;
};

type Held = { bytes: number; sent?: { readonly way: AnswerWay; readonly beganMs: number } };
type Asking = {
  readonly held: Held;
  readonly bytes: number;
  readonly untilMs: number;
  settle(error?: AirlockError): void;
};

/**
 * Limits the bytes of all answers that the gateway holds because their clients have not read them yet. A
 * large answer waits for free memory before it is fetched from the router. Clients that read slowly are cut
 * off when other answers need the memory.
 */
export class AnswerBudget {
  #bytes = 0;
  /** Answers that count against the budget, oldest first. */
  readonly #all = new Set<Held>();
  /** Answers that wait for memory, oldest first. */
  readonly #asking = new Set<Asking>();
  readonly #now: () => number;
  readonly #maxBytes: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(now: () => number = performance.now.bind(performance), maxBytes = MAX_BYTES) {
    this.#now = now;
    this.#maxBytes = maxBytes;
  }

  /** The budget for answers of up to `SMALL_BYTES` each. */
  static ofSmall(): AnswerBudget {
    return new AnswerBudget(undefined, MAX_SMALL_BYTES);
  }

  /** Bytes of all answers in memory now. */
  get bytes(): number {
    return this.#bytes;
  }

  open(): AnswerHold {
    const held: Held = { bytes: 0 };
    return {
      get bytes() {
        return held.bytes;
      },
      reserve: (bytes, signal) => this.#reserve(held, bytes, signal),
      sending: (bytes, way) => {
        this.#count(held, bytes);
        held.sent = { way, beganMs: this.#now() };
        this.#freeMemory(0);
      },
      release: () => {
        this.#count(held, 0);
        this.#serve();
      },
    };
  }

  #reserve(held: Held, bytes: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const asking: Asking = {
        held,
        bytes,
        untilMs: this.#now() + WAIT_MS,
        settle: (error) => {
          this.#asking.delete(asking);
          signal?.removeEventListener("abort", leave);
          if (error) reject(error);
          else resolve();
        },
      };
      const leave = () => asking.settle(callCancelled());
      this.#asking.add(asking);
      signal?.addEventListener("abort", leave, { once: true });
      if (signal?.aborted) leave();
      else this.#serve();
    });
  }

  /**
   * Gives memory to the waiting answers, oldest first, as far as there is any. Refuses those that have waited
   * for WAIT_MS.
   */
  #serve(): void {
    for (const asking of this.#asking) {
      this.#freeMemory(asking.bytes);
      if (this.#lacks(asking.bytes)) break;
      this.#count(asking.held, asking.bytes);
      asking.settle();
    }
    for (const asking of this.#asking)
      if (this.#now() >= asking.untilMs) asking.settle(overloaded(this.#maxBytes));
    if (this.#asking.size > 0) this.#timer ??= setInterval(() => this.#serve(), LOOK_EVERY_MS).unref();
    else {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }

  /**
   * Closes the connections of clients that read slowly, oldest answer first, until `bytes` fit into the
   * budget.
   */
  #freeMemory(bytes: number): void {
    for (const held of this.#all) {
      if (!this.#lacks(bytes)) return;
      if (!held.sent || !this.#isSlow(held.sent)) continue;
      this.#count(held, 0);
      held.sent.way.giveUp();
    }
  }

  #isSlow({ way, beganMs }: NonNullable<Held["sent"]>): boolean {
    const tookMs = this.#now() - beganMs;
    return tookMs > SLOW_AFTER_MS && way.taken() < tookMs * SLOW_BYTES_PER_MS;
  }

  // A single answer is always admitted, even when it is larger than the whole budget, because its execution
  // could never be read otherwise.
  #lacks(bytes: number): boolean {
    return this.#bytes > 0 && this.#bytes + bytes > this.#maxBytes;
  }

  #count(held: Held, bytes: number): void {
    this.#bytes += bytes - held.bytes;
    held.bytes = bytes;
    if (bytes > 0) this.#all.add(held);
    else this.#all.delete(held);
  }
}

function overloaded(maxBytes: number): AirlockError {
  return new AirlockError(
    "overloaded",
    `Too many answers are on their way at once, and their clients take them slowly: all of them may have ${maxBytes / MIB} MiB together. Read the execution again after the seconds in Retry-After.`,
  );
}

import { callCancelled } from "#common/errors.ts";

/** A read that takes longer, of a router that stands still perhaps, keeps the others waiting no more. */
const SLOW_AFTER_MS = 2_000;

/**
 * Large executions are read one after the other, in the order in which they were asked for: several at once would be no
 * sooner there, and everything else would wait for all of them in each round of the event loop.
 */
export class LargeReads {
  readonly #slowAfterMs: number;
  #isReading = false;
  readonly #waiting = new Set<() => void>();

  constructor(slowAfterMs = SLOW_AFTER_MS) {
    this.#slowAfterMs = slowAfterMs;
  }

  /** Resolves to what `read` does, once it may; rejects with `cancelled` when `signal` aborts before. */
  async run<Result>(read: () => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    if (this.#isReading) await this.#turn(signal);
    this.#isReading = true;
    let isOver = false;
    const giveWay = () => {
      if (isOver) return;
      isOver = true;
      const [next] = this.#waiting;
      if (next) next();
      else this.#isReading = false;
    };
    const late = setTimeout(giveWay, this.#slowAfterMs).unref();
    try {
      return await read();
    } finally {
      clearTimeout(late);
      giveWay();
    }
  }

  /** Resolves when another read has given way to this one. */
  #turn(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (end: () => void) => {
        this.#waiting.delete(go);
        signal?.removeEventListener("abort", leave);
        end();
      };
      const go = () => settle(resolve);
      const leave = () => settle(() => reject(callCancelled()));
      if (signal?.aborted) return leave();
      this.#waiting.add(go);
      signal?.addEventListener("abort", leave, { once: true });
    });
  }
}

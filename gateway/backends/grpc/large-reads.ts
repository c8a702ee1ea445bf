import { callCancelled } from "#common/errors.ts";

/**
 * Milliseconds after which a read that has not finished no longer keeps the next one waiting, because its
 * router's process may be suspended and not answer.
 */
const SLOW_AFTER_MS = 2_000;

/**
 * Reads large executions from the router one after the other, in the order of the requests. Reads in parallel
 * would not finish sooner, because the gateway handles them all in one event loop, and every small request
 * would wait behind them.
 */
export class LargeReads {
  readonly #slowAfterMs: number;
  #isReading = false;
  /** Functions that start the reads that wait, in the order in which they came. */
  readonly #waiting = new Set<() => void>();

  constructor(slowAfterMs = SLOW_AFTER_MS) {
    this.#slowAfterMs = slowAfterMs;
  }

  /**
   * Runs `read` once every earlier read has finished or has taken SLOW_AFTER_MS, and resolves to its result.
   * Rejects with `cancelled` when `signal` aborts before `read` has begun.
   */
  async run<Result>(read: () => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    if (this.#isReading) await this.#turn(signal);
    this.#isReading = true;
    let isOver = false;
    const startNext = () => {
      if (isOver) return;
      isOver = true;
      const [next] = this.#waiting;
      if (next) next();
      else this.#isReading = false;
    };
    const late = setTimeout(startNext, this.#slowAfterMs).unref();
    try {
      return await read();
    } finally {
      clearTimeout(late);
      startNext();
    }
  }

  /**
   * Resolves when this read may begin, because the read before it has finished or has taken longer than
   * SLOW_AFTER_MS. Rejects with `cancelled` when `signal` aborts before that.
   */
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

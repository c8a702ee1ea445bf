import { callCancelled } from "#common/errors.ts";

/**
 * A read that takes longer than this no longer blocks the next ones. The cause may be a router that is
 * stopped.
 */
const SLOW_AFTER_MS = 2_000;

/**
 * Reads large executions from the router one after the other, in the order of the requests. Reads in parallel
 * would not finish sooner, because they share one event loop, and all other requests would wait for all of
 * them.
 */
export class LargeReads {
  readonly #slowAfterMs: number;
  #isReading = false;
  readonly #waiting = new Set<() => void>();

  constructor(slowAfterMs = SLOW_AFTER_MS) {
    this.#slowAfterMs = slowAfterMs;
  }

  /**
   * Runs `read` when its turn comes, and resolves to its result. Rejects with `cancelled` when `signal`
   * aborts before that turn.
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
   * Resolves when the previous read has finished or has become slow. Rejects with `cancelled` when `signal`
   * aborts before.
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

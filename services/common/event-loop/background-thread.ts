import { setImmediate } from "node:timers/promises";
import { move, Piscina } from "piscina";
import { callCancelled } from "../errors.ts";

/**
 * Data of more than this many bytes is processed on a BackgroundThread. Smaller data is processed on the
 * event loop, in pieces between other work, because it takes only a few milliseconds.
 */
export const LARGE_BYTES = 256 * 1024;

const IDLE_MS = 60_000;
/** Milliseconds that one task works before another task of the same thread goes on. */
const SLICE_MS = 2;
/**
 * The most tasks that share the thread at the same time; further tasks wait in the order in which they came.
 */
const MAX_AT_ONCE = 64;

/** The argument that a task gets: its input, and whether its caller has given it up. */
export type Task<Input> = {
  readonly input: Input;
  /**
   * 0 until the caller gives the task up, then 1. The memory is shared, so that the thread sees the change.
   */
  readonly abandoned: Int32Array;
};

/**
 * A thread of this process for work that would block the event loop. The thread has the usual priority,
 * because with a lower one busy scripts on the same machine would delay its work for longer than callers
 * wait.
 */
export type BackgroundThread<Input, Output> = {
  /**
   * Runs the task with a copy of `input`. `bytes` are handed over without a copy, so the caller must not use
   * them any more. Rejects with the task's error, and with `cancelled` when `signal` aborts, which also ends
   * the task.
   */
  run(input: Input, bytes?: Uint8Array, signal?: AbortSignal): Promise<Output>;
};

/**
 * Makes a thread for one kind of `task`: the URL of a module whose default export takes a Task and returns
 * its output. Tasks that use `inSlices` alternate every 2 ms, so that a short task need not wait for the end
 * of a long one. The thread starts at the first task and ends after a minute without one. The queue has no
 * limit of its own, because callers limit the size of the inputs, which are in memory anyway.
 */
export function createBackgroundThread<Input, Output>(task: URL): BackgroundThread<Input, Output> {
  let pool: Piscina<Task<Input>, Output> | undefined;
  return {
    async run(input, bytes, signal) {
      pool ??= new Piscina({
        filename: task.href,
        minThreads: 0,
        maxThreads: 1,
        concurrentTasksPerWorker: MAX_AT_ONCE,
        idleTimeout: IDLE_MS,
      });
      const abandoned = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
      const abandon = () => void Atomics.store(abandoned, 0, 1);
      if (signal?.aborted) abandon();
      // Piscina's own signal is not used, because it would end the thread and with it the tasks of all other
      // callers.
      signal?.addEventListener("abort", abandon, { once: true });
      try {
        const options = bytes && { transferList: [bytes.buffer as ArrayBuffer] };
        return await pool.run({ input, abandoned }, options);
      } catch (error) {
        throw signal?.aborted ? callCancelled() : error;
      } finally {
        signal?.removeEventListener("abort", abandon);
      }
    },
  };
}

/**
 * For use in a task: performs all `steps` of a generator, each of about a millisecond at most, and lets the
 * thread's other tasks go on after each 2 ms. Rejects when the caller has given up the task.
 */
export async function inSlices<Result>(
  steps: Iterator<void, Result>,
  { abandoned }: Pick<Task<unknown>, "abandoned">,
): Promise<Result> {
  for (;;) {
    if (Atomics.load(abandoned, 0) !== 0) throw new Error("the caller has gone");
    const end = performance.now() + SLICE_MS;
    do {
      const { done, value } = steps.next();
      if (done) return value as Result;
    } while (performance.now() < end);
    await setImmediate();
  }
}

/** Marks the output of a task so that its bytes are moved to the calling thread and not copied. */
export function handBack<Output extends { readonly bytes: Uint8Array }>(output: Output): Output {
  const { buffer } = output.bytes;
  const movable = {
    [Piscina.transferableSymbol]: buffer,
    [Piscina.valueSymbol]: output,
  };
  return move(movable as never) as unknown as Output;
}

import { setImmediate } from "node:timers/promises";
import { move, Piscina } from "piscina";
import { callCancelled } from "../errors.ts";

/** Data of more bytes is worked on by a BackgroundThread; less costs the event loop a few milliseconds, in turns. */
export const LARGE_BYTES = 256 * 1024;

const IDLE_MS = 60_000;
/** A task's share of the thread until the next one works. */
const SLICE_MS = 2;
/** Tasks that share the thread; more wait in the order in which they came. */
const MAX_AT_ONCE = 64;

/** What a task is given. */
export type Task<Input> = {
  readonly input: Input;
  /** Not 0 once the caller has gone; both threads see the same. */
  readonly abandoned: Int32Array;
};

/**
 * One more thread of this process, for work that would hold the event loop up. The thread has the priority of every other:
 * scripts that compute would keep one of a lower priority from its work for longer than callers wait.
 */
export type BackgroundThread<Input, Output> = {
  /**
   * Hands over a copy of `input`, and `bytes` of it as they are: nobody else may use these. Rejects with what the task throws,
   * and with `cancelled` when `signal` aborts, because the task is given up then.
   */
  run(input: Input, bytes?: Uint8Array, signal?: AbortSignal): Promise<Output>;
};

/**
 * A thread that does one `task`: the URL of a module whose default export takes a Task and returns its output. Tasks that work
 * `inSlices` take turns, so that a short one does not wait for the end of long ones. The thread starts when it is first needed
 * and ends when it was idle for a minute. How much may wait for it is bounded by whoever bounds the inputs, which are held
 * in memory anyhow.
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
      // Not Piscina's own signal, which ends the thread with the tasks of all others.
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
 * For a task: does all `steps`, each of which takes at most about a millisecond, in turns with the thread's other tasks.
 * Rejects when the caller has gone.
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

/** Marks the output of a task: its bytes are handed back and not copied. */
export function handBack<Output extends { readonly bytes: Uint8Array }>(output: Output): Output {
  const { buffer } = output.bytes;
  const movable = {
    [Piscina.transferableSymbol]: buffer,
    [Piscina.valueSymbol]: output,
  };
  return move(movable as never) as unknown as Output;
}

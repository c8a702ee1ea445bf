import { move, Piscina } from "piscina";

/** Data of more bytes is worked on by a BackgroundThread; less costs the event loop a few milliseconds, in turns. */
export const LARGE_BYTES = 256 * 1024;

/** Below the event loops and the workers: whoever sends much data waits, and not the others. */
const NICE = 10;
const IDLE_MS = 60_000;

/** One more thread of this process, for work that would hold the event loop up. It works on one thing after the other. */
export type BackgroundThread<Input, Output> = {
  /** Hands over a copy of `input`, and `bytes` of it as they are: nobody else may use these. Rejects with what the task throws. */
  run(input: Input, bytes?: Uint8Array): Promise<Output>;
};

/**
 * A thread that does one `task`: the URL of a module whose default export takes an input and returns its output. The thread
 * starts when it is first needed and ends when it was idle for a minute. How much may wait for it is bounded by whoever
 * bounds the inputs, which are held in memory anyhow.
 */
export function createBackgroundThread<Input, Output>(task: URL): BackgroundThread<Input, Output> {
  let pool: Piscina<Input, Output> | undefined;
  return {
    run(input, bytes) {
      pool ??= new Piscina({
        filename: task.href,
        minThreads: 0,
        maxThreads: 1,
        idleTimeout: IDLE_MS,
        niceIncrement: NICE,
      });
      return pool.run(input, bytes && { transferList: [bytes.buffer as ArrayBuffer] });
    },
  };
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

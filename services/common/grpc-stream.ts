import { once } from "node:events";
import { fromGrpcError } from "./grpc-errors.ts";

/** The part of a grpc-js stream, server or client side, that messages both ways need. */
type RawStream = NodeJS.EventEmitter & {
  read(): unknown;
  write(message: never): boolean;
  end(): void;
  destroyed: boolean;
};

/** A stream of messages both ways with backpressure. */
export type Duplex<In, Out> = {
  /** The next message, or null when the other side has ended; rejects with an AirlockError when the stream broke. */
  next(): Promise<In | null>;
  /** Resolves when there is room for more. */
  send(message: Out): Promise<void>;
};

/**
 * Reads and writes `call` message by message. A broken or cancelled stream rejects the pending and every later
 * `next()`; `peer` names the other side in that error.
 */
export function openDuplex<In, Out>(call: RawStream, peer: string): Duplex<In, Out> {
  let ended = false;
  let failure: unknown;
  let wake: (() => void) | undefined;
  const signal = () => {
    wake?.();
    wake = undefined;
  };
  call.on("readable", signal);
  // grpc-js reports a reset stream as ended first and as cancelled or broken just after: the second word counts.
  call.on("end", () =>
    setImmediate(() => {
      ended = true;
      signal();
    }),
  );
  const fail = (error: unknown) => {
    failure ??= error;
    signal();
  };
  call.on("error", (error) => fail(fromGrpcError(error, peer)));
  call.on("cancelled", () => fail(fromGrpcError(cancelledByCaller(), peer)));
  return {
    async next() {
      for (;;) {
        if (failure) throw failure;
        const message = call.read();
        if (message !== null) return message as In;
        if (ended) return null;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    async send(message) {
      if (failure) throw failure;
      if (!call.write(message as never) && !failure) await drained(call);
      if (failure) throw failure;
    },
  };
}

async function drained(call: RawStream): Promise<void> {
  const abort = new AbortController();
  const { signal } = abort;
  const settle = (event: string) =>
    once(call, event, { signal }).then(
      () => undefined,
      () => undefined,
    );
  await Promise.race(["drain", "error", "close", "cancelled"].map(settle));
  abort.abort();
}

function cancelledByCaller(): Error {
  return Object.assign(new Error("cancelled"), { code: 1, details: "cancelled", metadata: undefined });
}

import { once } from "node:events";
import { fromGrpcError } from "./errors.ts";

/** The part of a grpc-js stream, server or client side, that messages need. */
type Readable = NodeJS.EventEmitter & { read(): unknown };
type RawStream = Readable & { write(message: never): boolean };

/** Messages of the other side. */
type Messages<In> = {
  /** The next message, or null when the other side has ended; rejects with an AirlockError when the stream broke. */
  next(): Promise<In | null>;
  /** Why the stream broke, once it has. */
  readonly failure: unknown;
};

/** A stream of messages both ways with backpressure. */
export type Duplex<In, Out> = Pick<Messages<In>, "next"> & {
  /** Resolves when there is room for more. */
  send(message: Out): Promise<void>;
};

/** Reads `call` message by message. A broken or cancelled stream rejects the pending and every later `next()`; `peer` names the other side in that error. */
export function openMessages<In>(call: Readable, peer: string): Messages<In> {
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
    get failure() {
      return failure;
    },
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
  };
}

/** The same with messages both ways. */
export function openDuplex<In, Out>(call: RawStream, peer: string): Duplex<In, Out> {
  const messages = openMessages<In>(call, peer);
  return {
    next: messages.next,
    async send(message) {
      if (messages.failure) throw messages.failure;
      if (!call.write(message as never) && !messages.failure) await drained(call);
      if (messages.failure) throw messages.failure;
    },
  };
}

/** Resolves when the stream takes more, or is over. */
export async function drained(call: NodeJS.EventEmitter): Promise<void> {
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

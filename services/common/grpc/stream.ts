import { once } from "node:events";
import type { AirlockError } from "../errors.ts";
import { fromGrpcError } from "./errors.ts";

/** The part of a grpc-js stream, on a server or a client, that is needed to read messages. */
type Readable = NodeJS.EventEmitter & { read(): unknown };
type RawStream = Readable & { write(message: never): boolean };

/** The messages that the process at the other end of a gRPC stream sends. */
type Messages<In> = {
  /**
   * The next message; null when the process at the other end has ended the stream. Rejects with an
   * AirlockError when the stream broke.
   */
  next(): Promise<In | null>;
  /** The error that broke the stream; undefined while the stream works. */
  readonly failure: unknown;
};

/**
 * A gRPC stream, on a client or a server, that receives and sends messages. A sender waits while the receiver
 * is not ready for more.
 */
export type Duplex<In, Out> = Pick<Messages<In>, "next"> & {
  /**
   * Sends one message; resolves when the stream can take the next. Rejects with an AirlockError when the
   * stream broke.
   */
  send(message: Out): Promise<void>;
};

/**
 * Reads `call` message by message. A broken or cancelled stream rejects `next()` once the messages that came
 * before are read, with an error whose message calls the remote process `peer`.
 */
export function openMessages<In>(call: Readable, peer: string): Messages<In> {
  let ended = false;
  // Makes the error that broke the stream; undefined while the stream works. The error is made only when it
  // is asked for, because grpc-js reports every server call as cancelled once the call is over, and making an
  // error takes the time of a stack trace.
  let failed: (() => AirlockError) | undefined;
  let wake: (() => void) | undefined;
  const signal = () => {
    wake?.();
    wake = undefined;
  };
  call.on("readable", signal);
  // grpc-js first reports a reset stream as ended, and just after as cancelled or broken. Only the second
  // report is true, so the end counts one round of the event loop later.
  call.on("end", () =>
    setImmediate(() => {
      ended = true;
      signal();
    }),
  );
  const fail = (error: () => AirlockError) => {
    failed ??= error;
    signal();
  };
  call.on("error", (error) => fail(() => fromGrpcError(error, peer)));
  call.on("cancelled", () => fail(() => fromGrpcError(cancelledByCaller(), peer)));
  return {
    get failure() {
      return failed?.();
    },
    async next() {
      for (;;) {
        const message = call.read();
        if (message !== null) return message as In;
        if (failed) throw failed();
        if (ended) return null;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}

/**
 * Reads and writes `call` message by message. A broken or cancelled stream rejects pending and later calls of
 * `next` and `send`, with an error whose message calls the remote process `peer`.
 */
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

/** Resolves when the stream can take more data, has ended or has failed. Does not reject. */
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

import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { onceClosed } from "#common/http/response-closed.ts";
import { breakOff, sentOver, streamOf } from "../https/http2.ts";
import type { AnswerWay } from "./answer-budget.ts";

/**
 * Milliseconds for which a client may read nothing of its answer before the gateway closes the connection.
 */
export const STALLED_AFTER_MS = 30_000;
const LOOK_EVERY_MS = 1_000;

type Sent = { readonly way: AnswerWay; bytes: number; movedAtMs: number };

/**
 * Closes connections whose clients have stopped reading an answer. The time-outs of Node's sockets would not
 * do: they would end long polls too, and would give such a client twice the time.
 */
export class StalledAnswers {
  readonly #afterMs: number;
  readonly #sent = new Set<Sent>();
  #timer: NodeJS.Timeout | undefined;

  constructor(afterMs: number) {
    this.#afterMs = afterMs;
  }

  /**
   * Watches `response` until the client has read it or disconnected. Closes the connection, with HTTP/2 the
   * stream, when the client reads no bytes of it for longer than `afterMs`.
   */
  watch(response: ServerResponse): void {
    const way = wayOf(response);
    if (!way) return;
    const sent: Sent = { way, bytes: way.taken(), movedAtMs: performance.now() };
    this.#sent.add(sent);
    this.#timer ??= setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
    onceClosed(response, () => {
      this.#sent.delete(sent);
      if (this.#sent.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    });
  }

  #look(): void {
    const nowMs = performance.now();
    for (const sent of this.#sent) {
      const bytes = sent.way.taken();
      if (bytes !== sent.bytes) Object.assign(sent, { bytes, movedAtMs: nowMs });
      else if (nowMs - sent.movedAtMs > this.#afterMs) sent.way.giveUp();
    }
  }
}

/** The way to the client of an answer; undefined when the client has disconnected. */
export function wayOf(response: ServerResponse): AnswerWay | undefined {
  const stream = streamOf(response);
  if (stream)
    return stream.destroyed ? undefined : { taken: () => sentOver(stream), giveUp: () => breakOff(stream) };
  const { socket } = response;
  return socket ? { taken: () => takenBy(socket), giveUp: () => void socket.destroy() } : undefined;
}

/**
 * Bytes written to this connection that the kernel has accepted. This number stands for what the client has
 * read, because the kernel accepts no more than its send buffer holds until the client reads.
 */
function takenBy(socket: Socket): number {
  return socket.bytesWritten - socket.writableLength;
}

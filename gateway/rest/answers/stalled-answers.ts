import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { onceClosed } from "#common/http/response-closed.ts";

/** A connection is ended when its client has taken nothing of an answer for so long. */
export const STALLED_AFTER_MS = 30_000;
const LOOK_EVERY_MS = 1_000;

type Sent = { readonly socket: Socket; bytes: number; movedAtMs: number };

/**
 * Ends connections whose clients have stopped reading an answer. The time-outs of Node's sockets would end long polls, too,
 * and let a client that reads nothing have twice the time.
 */
export class StalledAnswers {
  readonly #afterMs: number;
  readonly #sent = new Set<Sent>();
  #timer: NodeJS.Timeout | undefined;

  constructor(afterMs: number) {
    this.#afterMs = afterMs;
  }

  /** The answer `response` begins now; it is watched until its client has taken it. */
  watch(response: ServerResponse): void {
    const { socket } = response;
    if (!socket) return;
    const sent: Sent = { socket, bytes: takenBy(socket), movedAtMs: performance.now() };
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
      const bytes = takenBy(sent.socket);
      if (bytes !== sent.bytes) Object.assign(sent, { bytes, movedAtMs: nowMs });
      else if (nowMs - sent.movedAtMs > this.#afterMs) sent.socket.destroy();
    }
  }
}

/** The bytes that the system has taken for the client of this connection. */
export function takenBy(socket: Socket): number {
  return socket.bytesWritten - socket.writableLength;
}

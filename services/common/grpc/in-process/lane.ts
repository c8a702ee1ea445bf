/**
 * A message that waits for its reader. `taken` is called when the reader has got the message, or when the
 * message is dropped.
 */
type Sent = { readonly message: unknown; readonly taken: () => void };

/** The callbacks of a lane's reader. */
export type LaneReader = {
  /** Called with one message for each time that the reader called `want`. */
  onMessage(message: unknown): void;
  /** Called once, when every message has been read and the writer sends no more. */
  onEnd(): void;
};

/**
 * One direction of an in-process gRPC call: from client to handler, or from handler to client. A message
 * waits until its reader asks for it, so a slow reader slows the writer down. Messages are passed on by
 * `setImmediate`, as if they came from a socket: between two messages the event loop serves timers and other
 * connections.
 */
export class Lane {
  readonly #reader: LaneReader;
  readonly #waiting: Sent[] = [];
  #isWanted = false;
  #isScheduled = false;
  #state: "open" | "ended" | "closed" = "open";

  constructor(reader: LaneReader) {
    this.#reader = reader;
  }

  /**
   * Sends one message. `taken` is called when the reader has got the message, or when it is certain that the
   * reader will never get it.
   */
  send(message: unknown, taken: () => void): void {
    if (this.#state !== "open") return void setImmediate(taken);
    this.#waiting.push({ message, taken });
    this.#schedule();
  }

  /** Called by the writer when it sends no more. The reader gets `onEnd` after the last message. */
  end(): void {
    if (this.#state !== "open") return;
    this.#state = "ended";
    this.#schedule();
  }

  /** Called by the reader to ask for one message. */
  want(): void {
    this.#isWanted = true;
    this.#schedule();
  }

  /** Drops the messages that were not read. No further callback of the reader is called. */
  close(): void {
    this.#state = "closed";
    for (const { taken } of this.#waiting.splice(0)) setImmediate(taken);
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#pass();
    });
  }

  #pass(): void {
    if (this.#state === "closed") return;
    if (this.#isWanted) {
      const next = this.#waiting.shift();
      if (next) {
        this.#isWanted = false;
        this.#reader.onMessage(next.message);
        next.taken();
      }
    }
    if (this.#waiting.length > 0) {
      if (this.#isWanted) this.#schedule();
    } else if (this.#state === "ended") {
      this.#state = "closed";
      this.#reader.onEnd();
    }
  }
}

/** A message on its way, and what to do once the reader has taken it. */
type Sent = { readonly message: unknown; readonly taken: () => void };

/** What the reader of a lane is told. */
export type LaneReader = {
  onMessage(message: unknown): void;
  /** Every message was read and the writer sends no more. */
  onEnd(): void;
};

/**
 * One direction of a call. A message waits until its reader asks for it, so a slow reader slows its writer down.
 * Messages are passed on by `setImmediate`, as if they came from a socket: between two of them the event loop serves
 * timers and other connections.
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

  /** Sends one message; `taken` is called once the reader has it, or never will have it. */
  send(message: unknown, taken: () => void): void {
    if (this.#state !== "open") return void setImmediate(taken);
    this.#waiting.push({ message, taken });
    this.#schedule();
  }

  /** The writer sends no more. */
  end(): void {
    if (this.#state !== "open") return;
    this.#state = "ended";
    this.#schedule();
  }

  /** The reader asks for one message. */
  want(): void {
    this.#isWanted = true;
    this.#schedule();
  }

  /** Drops what was not read. The reader is told nothing more. */
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

import { Duplex } from "node:stream";
import { ByteCollector } from "#common/byte-collector.ts";
import type { TunnelResponse } from "#proto/worker.ts";
import { ONE_PIECE, restAfter } from "../short-pieces.ts";
import type { TunnelCall } from "./call.ts";

/** The most bytes in one message to the worker; longer data is split. */
const MAX_DATA_BYTES = 64 * 1024;
/**
 * Bytes from the worker that the socket keeps while its reader takes none. From this number on the gRPC call
 * is paused, so that the worker stops sending.
 */
const MAX_HELD_BYTES = 64 * 1024;

/**
 * The egress service's end of a tunnel, for use like a network socket: at the tunnel's other end is a
 * connection of a process of the run. The class has the members of a net.Socket that HTTP and TLS need, and
 * can be half open. After `destroy` nothing more is read, but bytes that were written before still arrive.
 * The socket emits no errors: when the connection breaks, the socket closes. Unread bytes are joined into one
 * piece, however many messages they came in.
 */
export class TunnelSocket extends Duplex {
  readonly #call: TunnelCall;
  readonly #owner: string;
  #idle: NodeJS.Timeout | undefined;

  #held: ByteCollector | undefined;
  #isWanted = false;
  #isOver = false;
  #isResting = false;

  /**
   * `owner` is the project whose share of the event loop the work for this connection uses, so that
   * connections of one project do not delay others.
   */
  constructor(call: TunnelCall, owner: string) {
    super({ allowHalfOpen: true, highWaterMark: ONE_PIECE });
    this.#owner = owner;
    this.#call = call;
    call.on("data", ({ message }: TunnelResponse) => {
      if (this.destroyed) return;
      if (message?.$case === "data") this.#take(message.value);
      else {
        this.#isOver = true;
        this.#handOn();
      }
    });
    call.on("end", () => this.destroy());
    call.on("error", () => this.destroy());
  }

  #take(bytes: Buffer): void {
    const rest = restAfter(bytes, this.#owner);
    if (rest) {
      this.#isResting = true;
      this.#call.pause();
      void rest.then(() => {
        this.#isResting = false;
        this.#readOn();
      });
    }
    if (this.#isWanted && !this.#held) {
      this.#isWanted = this.push(bytes);
      return;
    }
    this.#held ??= new ByteCollector();
    this.#held.append(bytes);
    if (this.#held.length >= MAX_HELD_BYTES) this.#call.pause();
  }

  #handOn(): void {
    if (this.#held && this.#isWanted) {
      const { bytes } = this.#held;
      this.#held = undefined;
      this.#isWanted = this.push(bytes);
    }
    if (this.#isOver && !this.#held) this.push(null);
  }

  #readOn(): void {
    const isFull = this.#held !== undefined && this.#held.length >= MAX_HELD_BYTES;
    if (this.destroyed || !(isFull || this.#isResting)) this.#call.resume();
  }

  /**
   * Emits `timeout` after `ms` milliseconds, unless `setTimeout` is called again before; 0 turns the timer
   * off.
   */
  setTimeout(ms: number): this {
    clearTimeout(this.#idle);
    this.#idle = ms > 0 ? setTimeout(() => this.emit("timeout"), ms) : undefined;
    return this;
  }

  /** Ends the socket, and destroys it after all bytes were sent. */
  destroySoon(): void {
    this.end(() => this.destroy());
  }

  override _read(): void {
    this.#isWanted = true;
    this.#handOn();
    this.#readOn();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#send(chunk, done);
  }

  override _writev(
    chunks: readonly { readonly chunk: Buffer }[],
    done: (error?: Error | null) => void,
  ): void {
    this.#send(Buffer.concat(chunks.map(({ chunk }) => chunk)), done);
  }

  #send(bytes: Buffer, done: (error?: Error | null) => void): void {
    let at = 0;
    for (; bytes.length - at > MAX_DATA_BYTES; at += MAX_DATA_BYTES) {
      this.#call.write({ message: { $case: "data", value: bytes.subarray(at, at + MAX_DATA_BYTES) } });
    }
    this.#call.write({ message: { $case: "data", value: bytes.subarray(at) } }, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#call.write({ message: { $case: "end", value: {} } }, done);
  }

  override _destroy(_error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.#idle);
    this.#call.end();
    // Messages that the worker still sends are read and dropped, so that the gRPC call can end.
    this.#call.resume();
    done();
  }
}

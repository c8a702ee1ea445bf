import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { ByteCollector } from "#common/byte-collector.ts";
import { Turn } from "#common/event-loop/turn.ts";
import type { Direction, Traffic } from "../routes/traffic.ts";
import { MIN_COUNTED_BYTES, ONE_PIECE } from "../short-pieces.ts";

/** Bytes that are kept while the reader takes none. Beyond that the socket is not read. */
const MAX_HELD_BYTES = 64 * 1024;
/**
 * With more chunks than this in one round of the event loop the chunks are short, and other work gets a turn
 * before the next ones are read.
 */
const MANY_CHUNKS = 1_000;

/**
 * Reads a message's body in a few large pieces and counts its bytes. Node's parser makes a Buffer of each
 * chunk, and a peer may send each byte as a chunk. A stream's high-water mark counts bytes only, so each
 * stream behind the parser would otherwise keep 65,536 Buffers. The result fails with the Refusal of
 * `traffic`, or when the message breaks off. The message's connection stays open.
 */
export function gathered(message: IncomingMessage, traffic: Traffic, direction: Direction): Readable {
  let held: ByteCollector | undefined;
  let chunks = 0;
  let isWanted = false;
  let isOver = false;
  let isScheduled = false;

  const pieces = new Readable({
    highWaterMark: ONE_PIECE,
    read() {
      isWanted = true;
      schedule();
    },
    destroy(error, done) {
      message.off("data", take);
      message.socket?.resume();
      done(error);
    },
  });
  const schedule = () => {
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(() => void handOn());
  };
  const handOn = async () => {
    if (chunks > MANY_CHUNKS) {
      message.socket?.pause();
      await new Turn(traffic.owner).next();
    }
    chunks = 0;
    isScheduled = false;
    if (pieces.destroyed) return;
    if (held && isWanted) {
      const { bytes } = held;
      held = undefined;
      isWanted = pieces.push(bytes);
    }
    if (isOver && !held) return void pieces.push(null);
    // The socket is paused and not the message, because the parser's Buffers would otherwise accumulate in
    // the message.
    if (isFull()) message.socket?.pause();
    else message.socket?.resume();
  };
  const isFull = () => held !== undefined && held.length >= MAX_HELD_BYTES;
  const take = (chunk: Buffer) => {
    try {
      traffic.count(direction, Math.max(chunk.length, MIN_COUNTED_BYTES));
    } catch (error) {
      pieces.destroy(error as Error);
      return;
    }
    chunks++;
    held ??= new ByteCollector();
    held.append(chunk);
    schedule();
  };
  message.on("data", take);
  message.once("end", () => {
    isOver = true;
    schedule();
  });
  message.on("error", (error) => pieces.destroy(error));
  message.once("close", () => {
    if (!message.complete) pieces.destroy(new Error("the message broke off"));
  });
  return pieces;
}

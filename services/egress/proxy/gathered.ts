import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { ByteCollector } from "#common/byte-collector.ts";
import { Turn } from "#common/event-loop/turn.ts";
import type { Direction, Traffic } from "../routes/traffic.ts";
import { MIN_COUNTED_BYTES, ONE_PIECE } from "../short-pieces.ts";

/** So many bytes are kept while the reader takes none; the socket is read no further then. */
const MAX_HELD_BYTES = 64 * 1024;
/** So many chunks in one round of the event loop are short ones, and others work before the next are read. */
const MANY_CHUNKS = 1_000;

/**
 * The body of a message in a few pieces, and counted. The parser makes a Buffer of each chunk, and a peer may send each byte
 * as one: a stream's high-water mark counts bytes, so that each stream behind the parser would keep 65,536 Buffers.
 * Errors with the Refusal of `traffic`, or when the message breaks off; the connection of the message stays open.
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
    // Not `message.pause()`: the parser's Buffers would pile up in the message.
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

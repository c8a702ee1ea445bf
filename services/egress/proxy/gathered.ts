import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { ByteCollector } from "#common/byte-collector.ts";
import { Turn } from "#common/event-loop/turn.ts";
import type { Direction, Traffic } from "../routes/traffic.ts";
import { MIN_COUNTED_BYTES, ONE_PIECE } from "../short-pieces.ts";

/**
 * Bytes of a body that are kept while the reader takes none. From this number on the socket is paused, so
 * that the peer stops sending.
 */
const MAX_HELD_BYTES = 64 * 1024;
/**
 * The number of chunks of a body in one round of the event loop above which the chunks must be short. The
 * socket is then paused until other work has run.
 */
const MANY_CHUNKS = 1_000;

/**
 * Reads the body of a request or response in a few large pieces and counts its bytes. Node's parser makes a
 * Buffer of each chunk, and a peer may send each byte as a chunk. A stream's high-water mark counts bytes
 * only, so each stream behind the parser would otherwise keep 65,536 Buffers. The result fails with a Refusal
 * when the run exceeds its traffic limit, and with an error when the message breaks off. The message's
 * connection stays open.
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
    // The socket is paused instead of the message, because the Buffers of Node's HTTP parser would otherwise
    // accumulate in the message.
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

import { Turn } from "#common/event-loop/turn.ts";

/**
 * A high-water mark with which a Node stream buffers a single piece. Node's mark counts bytes, so a peer
 * could otherwise make a stream keep 65,536 Buffers of one byte.
 */
export const ONE_PIECE = 1;
/**
 * Bytes that each received piece counts at least towards the traffic limit of a run, because even a short
 * piece costs about as much as so many bytes.
 */
export const MIN_COUNTED_BYTES = 64;

/** A received piece of fewer bytes counts as short. */
const SHORT_BYTES = 1_024;
/**
 * The number of short pieces, of all connections together, that take about two milliseconds of this process's
 * time. After so many the connection that received the last one waits.
 */
const MANY_PIECES = 64;

let pieces = 0;
let piecesInRound = 0;

/**
 * A promise for which a connection must wait before it reads on after `piece`; undefined when it need not
 * wait. Peers that send single bytes then use at most half of this process's time while other connections
 * need it. Meanwhile the kernel joins the bytes that these peers send. `owner` is the project whose share of
 * the event loop the connection uses.
 */
export function restAfter(piece: Uint8Array, owner: string): Promise<void> | undefined {
  if (piece.length >= SHORT_BYTES) return undefined;
  pieces++;
  if (piecesInRound++ === 0) {
    setImmediate(() => {
      piecesInRound = 0;
    });
  }
  const isMany = pieces % MANY_PIECES === 0 || piecesInRound > MANY_PIECES;
  return isMany ? new Turn(owner).next() : undefined;
}

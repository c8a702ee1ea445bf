import { Turn } from "#common/event-loop/turn.ts";

/**
 * A high-water mark with which a stream keeps a single piece. Node's mark counts bytes, so a peer could
 * otherwise make a stream keep 65,536 Buffers of one byte.
 */
export const ONE_PIECE = 1;
/** Bytes that a piece counts at least, because even a short piece costs about as much as so many bytes. */
export const MIN_COUNTED_BYTES = 64;

const SHORT_BYTES = 1_024;
/** The number of short pieces, of all connections together, that take about two milliseconds. */
const MANY_PIECES = 64;

let pieces = 0;
let piecesInRound = 0;

/**
 * A promise that a connection must wait for before it reads on after `piece`; undefined when it need not
 * wait. Peers that send single bytes then use at most half of this process's time while others need it.
 * Meanwhile the kernel joins the bytes that they send. `owner` is the project that the work counts for when
 * projects take turns.
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

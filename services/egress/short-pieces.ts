import { Turn } from "#common/event-loop/turn.ts";

/** A high-water mark: the stream keeps one piece. It counts bytes, and else a peer could make it keep 65,536 Buffers of one byte. */
export const ONE_PIECE = 1;
/** A piece costs about as much as so many bytes, however short it is. */
export const MIN_COUNTED_BYTES = 64;

const SHORT_BYTES = 1_024;
/** So many short pieces, of all connections together, take about two milliseconds. */
const MANY_PIECES = 64;

let pieces = 0;
let piecesInRound = 0;

/**
 * What comes after `piece` on its connection has to wait for this. Undefined: for nothing. Peers that send each byte apart cost
 * this process no more than half of its time while others need it; meanwhile the system puts together what they send. `owner` takes turns for the connection.
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

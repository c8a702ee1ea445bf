import { StringDecoder } from "node:string_decoder";
import { Turn } from "#common/event-loop/turn.ts";
import type { Execution } from "../execution.ts";
import type { LongText, Reading, TextPiece } from "./store.ts";

/**
 * Bytes of one slice of a long text. Stored values that are longer are read in slices of about this size, and
 * shorter values are joined up to this size.
 */
export const SLICE_BYTES = 512 * 1024;

/**
 * A slice of a long text, as it was read. `text`: the long text of the execution that the slice belongs to
 * (such as stdout). `bytes`: the content of the slice, in UTF-8; a character may be split between two slices.
 */
export type Slice = { readonly text: LongText; readonly bytes: Uint8Array };

/**
 * Joins short slices of the same long text to pieces of about 512 KiB. `slices` may switch between the texts
 * at any time.
 */
export async function* piecesOfSlices(slices: AsyncIterable<Slice>): AsyncGenerator<TextPiece> {
  const waiting = new Map<LongText, Uint8Array[]>();
  const sizeOf = (parts: readonly Uint8Array[]) => parts.reduce((sum, { length }) => sum + length, 0);
  for await (const { text, bytes } of slices) {
    const parts = waiting.get(text) ?? [];
    if (sizeOf(parts) + bytes.length < SLICE_BYTES) {
      waiting.set(text, [...parts, bytes]);
      continue;
    }
    waiting.delete(text);
    if (parts.length > 0) yield { text, piece: Buffer.concat(parts) };
    yield { text, piece: bytes };
  }
  for (const [text, parts] of waiting) if (sizeOf(parts) > 0) yield { text, piece: Buffer.concat(parts) };
}

/**
 * Reads all pieces of an execution's long texts and returns the whole execution. Lets other work of the
 * process run in between, so that a large execution does not block the event loop.
 */
export async function readWhole({ execution, pieces }: Reading): Promise<Execution> {
  const decoders = new Map<LongText, StringDecoder>();
  const texts: Record<LongText, string> = { result: "", memoryUpdates: "", stdout: "", stderr: "" };
  const turn = new Turn();
  for await (const { text, piece } of pieces()) {
    const decoder = decoders.get(text) ?? new StringDecoder();
    decoders.set(text, decoder);
    texts[text] += decoder.write(Buffer.from(piece.buffer, piece.byteOffset, piece.length));
    if (turn.isOver) await turn.next();
  }
  const { result: resultJson, memoryUpdates: memoryUpdatesJson, ...output } = texts;
  const { state } = execution;
  if (!("ending" in state)) return { ...execution, ...output };
  const ending = { ...state.ending, resultJson, memoryUpdatesJson };
  return { ...execution, ...output, state: { ...state, ending } };
}

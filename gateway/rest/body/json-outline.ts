import { isUtf8 } from "node:buffer";
import { createBackgroundThread, LARGE_BYTES } from "#common/event-loop/background-thread.ts";
import { takeTurns } from "#common/event-loop/turn.ts";
import { JsonEmptyError, JsonSyntaxError } from "#common/json/json-tokens.ts";
import { type JsonOutline, type OutlineLimits, outlineJson, TooDeep } from "./json-text.ts";

/**
 * The reason why a JSON text has no outline. An outline lists the members of the JSON object without parsing
 * all of it.
 */
export type OutlineProblem = "not_utf8" | "empty" | "syntax" | "too_deep";

/**
 * The outline of a JSON text, or the reason why it has none, and the bytes of the text without a byte order
 * mark.
 */
export type Outlined = { readonly bytes: Buffer; readonly outline: JsonOutline | OutlineProblem };

export type OutlineTask = { readonly bytes: Uint8Array; readonly limits: OutlineLimits };
export type OutlineTaskResult = { readonly bytes: Uint8Array; readonly outline: Outlined["outline"] };

const BYTE_ORDER_MARK = Buffer.from("\ufeff");

const thread = createBackgroundThread<OutlineTask, OutlineTaskResult>(
  new URL("./json-outline-task.ts", import.meta.url),
);

/**
 * Makes the outline of a JSON text: a list of its members, with the byte range of each value. A byte order
 * mark is ignored. A short text is read in steps between other work. A long one is transferred to another
 * thread, so the caller must not use `bytes` afterwards. Rejects with `cancelled` when `signal` aborts.
 */
export async function outlineBytes(
  bytes: Buffer,
  limits: OutlineLimits,
  signal?: AbortSignal,
): Promise<Outlined> {
  if (bytes.length > LARGE_BYTES) {
    const result = await thread.run({ bytes, limits }, bytes, signal);
    const { buffer, byteOffset, length } = result.bytes;
    return { bytes: Buffer.from(buffer, byteOffset, length), outline: result.outline };
  }
  return await takeTurns(outlineSteps(bytes, limits), signal);
}

/** Makes the outline of a JSON text in steps of about a millisecond each. */
export function* outlineSteps(bytes: Buffer, limits: OutlineLimits): Generator<void, Outlined> {
  const text = withoutMark(bytes);
  if (!isUtf8(text)) return { bytes: text, outline: "not_utf8" };
  try {
    return { bytes: text, outline: yield* outlineJson(text, limits) };
  } catch (error) {
    return { bytes: text, outline: problemOf(error) };
  }
}

function withoutMark(bytes: Buffer): Buffer {
  const hasMark = bytes.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK);
  return hasMark ? bytes.subarray(BYTE_ORDER_MARK.length) : bytes;
}

function problemOf(error: unknown): OutlineProblem {
  if (error instanceof JsonEmptyError) return "empty";
  if (error instanceof JsonSyntaxError) return "syntax";
  if (error instanceof TooDeep) return "too_deep";
  throw error;
}

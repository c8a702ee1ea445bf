import { createHash, type Hash } from "node:crypto";
import type { SubmitRequest } from "#proto/router.ts";
import { takeTurns } from "./event-loop/turn.ts";
import { piecesOf } from "./text-pieces.ts";

const VISIBLE_ASCII = /^[\x21-\x7e]{1,255}$/;
/**
 * The characters of a text that are hashed in one step, which takes less than a millisecond. Other work of
 * the event loop may go first between two steps.
 */
const STEP_CHARACTERS = 64 * 1024;

export const IDEMPOTENCY_KEY_RULE =
  "must be 1 to 255 visible ASCII characters without spaces, such as a UUID";

export function isIdempotencyKey(key: string): boolean {
  return VISIBLE_ASCII.test(key);
}

/**
 * A SHA-256 that tells whether two submissions with the same idempotency key are the same request. The hash
 * covers everything that can influence the script, exactly as it was sent. Memories that differ only in a
 * space count as different, because a script's random numbers are seeded with the memory's text.
 */
export async function fingerprintOf(request: SubmitRequest): Promise<string> {
  const hash = createHash("sha256");
  await takeTurns(hashRequest(request, hash));
  return hash.digest("hex");
}

/**
 * Hashes a submission as the JSON text of an array. The form of this text must never change, because
 * databases hold hashes that earlier releases made.
 */
function* hashRequest(
  { project, code, timeoutMs, settings, memoryJson }: SubmitRequest,
  hash: Hash,
): Generator<void> {
  const sorted = Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1));
  hash.update(`[${JSON.stringify(project)},`);
  yield* hashText(code, hash);
  hash.update(`,${JSON.stringify(timeoutMs ?? null)},[`);
  for (const [index, [key, value]] of sorted.entries()) {
    hash.update(`${index === 0 ? "" : ","}[`);
    yield* hashText(key, hash);
    hash.update(",");
    yield* hashText(value, hash);
    hash.update("]");
  }
  hash.update("],");
  yield* hashText(memoryJson || "{}", hash);
  hash.update("]");
}

function* hashText(text: string, hash: Hash): Generator<void> {
  hash.update('"');
  for (const piece of piecesOf(text, STEP_CHARACTERS)) {
    hash.update(JSON.stringify(piece).slice(1, -1));
    if (text.length > STEP_CHARACTERS) yield;
  }
  hash.update('"');
}

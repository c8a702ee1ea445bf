import { createHash } from "node:crypto";
import type { SubmitRequest } from "./gen/airlock/v1/router.ts";

const VISIBLE_ASCII = /^[\x21-\x7e]{1,255}$/;

export const IDEMPOTENCY_KEY_RULE =
  "must be 1 to 255 visible ASCII characters without spaces, such as a UUID";

export function isIdempotencyKey(key: string): boolean {
  return VISIBLE_ASCII.test(key);
}

/**
 * A SHA-256 by which two requests are the same: of all that the script's numbers depend on, as it came. Of two texts of a
 * memory that differ in a space alone, each is another request, because a script's random numbers depend on it.
 */
export function fingerprintOf({ project, code, timeoutMs, settings, memoryJson }: SubmitRequest): string {
  const sorted = Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1));
  const canonical = [project, code, timeoutMs ?? null, sorted, memoryJson || "{}"];
  return createHash("sha256").update(JSON.stringify(canonical)).digest("hex");
}

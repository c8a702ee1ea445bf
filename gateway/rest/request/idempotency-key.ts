import { IDEMPOTENCY_KEY_RULE, isIdempotencyKey } from "#common/idempotency.ts";
import { InvalidFields } from "../problems.ts";

const QUOTED = /^"((?:[^"\\]|\\["\\])*)"$/;

/** The schema of the Idempotency-Key header in the OpenAPI document. */
export const IDEMPOTENCY_HEADERS = {
  type: "object",
  properties: {
    "Idempotency-Key": {
      type: "string",
      minLength: 1,
      maxLength: 255,
      pattern: "^[\\x21-\\x7e]+$",
      description:
        "Any text that you use for this one request, such as a UUID. Sent again with the same body, the answer names the execution that the first request started; with another body it is 422. Kept for seven days longer than ended executions can be polled by default (AIRLOCK_RETENTION); the answer is 410 when the execution was forgotten before. All projects share the keys.",
    },
  },
} as const;

/**
 * Reads the Idempotency-Key header; undefined when there is none. Quotes around the key, which the IETF draft
 * prescribes, are removed. Throws when the key is not valid.
 */
export function readIdempotencyKey(header: string | readonly string[] | undefined): string | undefined {
  if (header === undefined) return undefined;
  const text = String(header);
  const key = QUOTED.exec(text)?.[1]?.replaceAll(/\\(.)/g, "$1") ?? text;
  if (isIdempotencyKey(key)) return key;
  throw new InvalidFields([{ field: "Idempotency-Key", message: IDEMPOTENCY_KEY_RULE }], "header ");
}

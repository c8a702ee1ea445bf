import { pino } from "pino";

const WITHHELD = "[withheld]";
const NEVER_LOGGED = new Set(["value", "secrets", "stdout", "stderr", "password", "authorization"]);
/**
 * The form of a `code` that may be logged: a word or a number of an error, such as ECONNREFUSED, 28P01 or 14.
 * In requests the field `code` is the text of a script, which must not be logged.
 */
const ERROR_CODE = /^[\w.-]{1,40}$/;

/**
 * A copy of a log line's `fields` with "[withheld]" in place of fields that must not be logged, at any depth.
 * An object without such fields is returned itself, not copied.
 */
export function withheld(fields: Record<string, unknown>): Record<string, unknown> {
  return withoutSecrets(fields, []) as Record<string, unknown>;
}

function withoutSecrets(value: unknown, above: readonly object[]): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (above.includes(value)) return "[circular]";
  if (value instanceof Uint8Array) return `[${value.length} bytes]`;
  if (value instanceof Error) return withoutSecrets(pino.stdSerializers.err(value), [...above, value]);
  // A Secret prints itself safely through toJSON, as do other types with that method.
  if ("toJSON" in value && typeof value.toJSON === "function") return value;
  const inside = [...above, value];
  if (Array.isArray(value)) return value.map((item) => withoutSecrets(item, inside));
  let copy: Record<string, unknown> | undefined;
  for (const [key, field] of Object.entries(value)) {
    const logged = isWithheld(key, field) ? WITHHELD : withoutSecrets(field, inside);
    if (logged === field) continue;
    copy ??= { ...value };
    copy[key] = logged;
  }
  return copy ?? value;
}

function isWithheld(key: string, field: unknown): boolean {
  if (NEVER_LOGGED.has(key)) return field !== undefined;
  return key === "code" && !(typeof field === "number" || ERROR_CODE.test(String(field)));
}

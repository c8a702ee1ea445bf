import type { FieldProblem } from "./section.ts";

/** The JSON schema of a text of at most 10,000 characters, which is used exactly as it is written. */
export const TEXT = { type: "string", maxLength: 10_000 } as const;

/** The schema of the name of an environment variable. */
export const ENVIRONMENT_NAME = {
  type: "string",
  pattern: "^[A-Za-z_][A-Za-z0-9_]*$",
  $comment: "letters, digits and _, with no digit first",
} as const;

/**
 * The problem of a text that cannot be written as UTF-8, because it has half of a surrogate pair. An empty
 * list for any other text.
 */
export function halfCharacter(field: string, text: string): FieldProblem[] {
  if (text.isWellFormed()) return [];
  return [{ field, message: "contains half of a surrogate pair, which is not a character" }];
}

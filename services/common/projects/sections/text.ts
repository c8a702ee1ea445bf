import type { FieldProblem } from "./section.ts";

/** The schema of a text that is taken as it stands. */
export const TEXT = { type: "string", maxLength: 10_000 } as const;

/** The schema of the name of an environment variable. */
export const ENVIRONMENT_NAME = {
  type: "string",
  pattern: "^[A-Za-z_][A-Za-z0-9_]*$",
  $comment: "letters, digits and _, with no digit first",
} as const;

/** The problem of a text that cannot be written as UTF-8; none for any other text. */
export function halfCharacter(field: string, text: string): FieldProblem[] {
  if (text.isWellFormed()) return [];
  return [{ field, message: "contains half of a surrogate pair, which is not a character" }];
}

import type { SchemaProblem } from "#common/projects/schema-problems.ts";

/**
 * The reason why `text`, the value of the field `field`, cannot reach a script unchanged; undefined when it
 * can.
 */
export function textProblem(field: string, text: string): SchemaProblem | undefined {
  if (text.includes("\0")) {
    return {
      field,
      message:
        "contains a NUL character (U+0000), which is not allowed; remove it, or in a Python literal write the escape \\0 (\\\\0 in JSON)",
    };
  }
  // Lone surrogates cannot be encoded in UTF-8. gRPC would silently replace them by U+FFFD.
  if (!text.isWellFormed()) {
    return {
      field,
      message: "contains half of a surrogate pair, which is not a character; send whole characters",
    };
  }
  return undefined;
}

import type { SchemaProblem } from "#common/projects/schema-problems.ts";

/** What keeps `text` from reaching a script unchanged, if anything does. */
export function textProblem(field: string, text: string): SchemaProblem | undefined {
  if (text.includes("\0")) {
    return {
      field,
      message:
        "holds a NUL character (U+0000), which is not allowed; remove it, or in a Python literal write the escape \\0 (\\\\0 in JSON)",
    };
  }
  // UTF-8 has no lone surrogates: on the wire they would silently become U+FFFD.
  if (!text.isWellFormed()) {
    return { field, message: "holds half of a surrogate pair, which is no character; send whole ones" };
  }
  return undefined;
}

import { type ParseError, parse } from "jsonc-parser";

/** Where `text` breaks the rules of JSON, as `line 1, column 5`; undefined when it keeps them. */
export function jsonErrorPlace(text: string): string | undefined {
  const errors: ParseError[] = [];
  parse(text, errors, { disallowComments: true });
  const offset = errors[0]?.offset;
  if (offset === undefined) return undefined;
  const before = text.slice(0, offset).split("\n");
  return `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
}

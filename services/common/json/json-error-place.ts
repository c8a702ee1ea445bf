import { type ParseError, parse, printParseErrorCode } from "jsonc-parser";

/**
 * The line and column of the first JSON error in `text`, such as `line 1, column 5`, with an explanation if
 * the mistake is a common one. Undefined when the text is JSON.
 */
export function jsonErrorPlace(text: string): string | undefined {
  const errors: ParseError[] = [];
  parse(text, errors, { disallowComments: true });
  const [first] = errors;
  if (!first) return undefined;
  const before = text.slice(0, first.offset).split("\n");
  const place = `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
  const mistake = usualMistake(text, first);
  return mistake === undefined ? place : `${place} (${mistake})`;
}

function usualMistake(text: string, { error, offset }: ParseError): string | undefined {
  if (/^-?(NaN|Infinity)\b/.test(text.slice(offset, offset + 10))) {
    return "JSON has no NaN and no Infinity: send null, or text";
  }
  if (printParseErrorCode(error) === "UnexpectedEndOfString" && text.includes("\n", offset)) {
    return "a string must end on its line: write a line end within it as \\n";
  }
  if (/[}\]]/.test(text[offset] ?? "") && /,\s*$/.test(text.slice(0, offset))) {
    return "remove the comma before the closing bracket";
  }
  return undefined;
}

import type { Spelling } from "./spelling.ts";

/** With `&`, `<` and `>` as entities, quotes as given, and all beyond ASCII as it is or as numbers. */
function htmlSpelling(quotationMark: string, apostrophe: string, nonAscii: "raw" | "numbers"): Spelling {
  const entities: Readonly<Record<string, string>> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': quotationMark,
    "'": apostrophe,
  };
  const write = (text: string) => {
    const escaped = text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
    if (nonAscii === "raw") return escaped;
    return escaped.replace(/[^\0-\x7f]/gu, (character) => `&#${character.codePointAt(0)};`);
  };
  return { write, marksToo: true };
}

/** How the usual escapers write quotes. */
const QUOTES = [
  ['"', "'"],
  ["&quot;", "'"],
  ["&quot;", "&#x27;"],
  ["&quot;", "&#39;"],
  ["&quot;", "&apos;"],
  ["&#34;", "&#39;"],
] as const;

export const HTML_SPELLINGS: readonly Spelling[] = QUOTES.flatMap(([quotationMark, apostrophe]) => [
  htmlSpelling(quotationMark, apostrophe, "raw"),
  htmlSpelling(quotationMark, apostrophe, "numbers"),
]);

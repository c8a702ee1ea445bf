import type { Spelling } from "./spelling.ts";

type NonAscii = "raw" | "lower" | "upper";

const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};

/** As the inside of a JSON string; with `nonAscii` other than raw also DEL is escaped, as Python does it. */
function jsonSpelling(nonAscii: NonAscii, slash: "/" | "\\/", controls: "lower" | "upper"): Spelling {
  const pattern = nonAscii === "raw" ? /["\\/\p{Cc}]/gu : /["\\/]|[^ -~]/g;
  const write = (text: string) =>
    text.replace(pattern, (character) => {
      if (character === "/") return slash;
      const short = SHORT_ESCAPES[character];
      if (short) return short;
      const code = character.charCodeAt(0);
      if (nonAscii === "raw" && code > 0x1f) return character;
      const digits = code.toString(16).padStart(4, "0");
      const inCapitals = nonAscii === "raw" ? controls === "upper" : nonAscii === "upper";
      return `\\u${inCapitals ? digits.toUpperCase() : digits}`;
    });
  return { write, marksToo: true };
}

/** All that JSON writers make of a text; the slash is escaped by some, the case of digits differs. */
export const JSON_SPELLINGS: readonly Spelling[] = [
  jsonSpelling("raw", "/", "lower"),
  jsonSpelling("raw", "/", "upper"),
  jsonSpelling("raw", "\\/", "lower"),
  jsonSpelling("raw", "\\/", "upper"),
  jsonSpelling("lower", "/", "lower"),
  jsonSpelling("lower", "\\/", "lower"),
  jsonSpelling("upper", "/", "upper"),
  jsonSpelling("upper", "\\/", "upper"),
];

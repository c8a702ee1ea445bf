import type { Spelling } from "./spelling.ts";

/** Percent-encoded, but for letters, digits and the characters in `kept`. */
function urlSpelling(kept: string, space: "%20" | "+", digits: "upper" | "lower"): Spelling {
  const write = (text: string) =>
    [...text]
      .map((character) => {
        if (/^[A-Za-z0-9]$/.test(character) || kept.includes(character)) return character;
        if (character === " ") return space;
        const encoded = [...Buffer.from(character)].map((byte) => `%${byte.toString(16).padStart(2, "0")}`);
        return digits === "upper" ? encoded.join("").toUpperCase() : encoded.join("");
      })
      .join("");
  return { write, marksToo: false };
}

/** What the usual encoders keep. */
const KEPT = [
  ["-._~/", "%20"], // Python's quote
  ["-._~", "%20"], // RFC 3986, quote(safe="")
  ["-._~", "+"], // Python's quote_plus and urlencode
  ["-._!~*'()", "%20"], // encodeURIComponent
  ["-._!~*'();,/?:@&=+$#", "%20"], // encodeURI
  ["-._*", "+"], // forms as browsers send them
] as const;

export const URL_SPELLINGS: readonly Spelling[] = KEPT.flatMap(([kept, space]) => [
  urlSpelling(kept, space, "upper"),
  urlSpelling(kept, space, "lower"),
]);

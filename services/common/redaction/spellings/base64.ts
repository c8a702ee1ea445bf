import type { Spelling } from "./spelling.ts";

/**
 * Base64 of a text that begins `offset` bytes after a multiple of three, in what it was embedded. Only the characters
 * are written that the text alone decides: those at its edges also hold bits of its neighbours.
 */
function base64Spelling(offset: 0 | 1 | 2, alphabet: "base64" | "base64url"): Spelling {
  const write = (text: string) => {
    const bytes = Buffer.concat([Buffer.alloc(offset), Buffer.from(text)]);
    const first = Math.ceil((offset * 8) / 6);
    const end = Math.floor((bytes.length * 8) / 6);
    return bytes.toString(alphabet).slice(first, end);
  };
  return { write, marksToo: false };
}

export const BASE64_SPELLINGS: readonly Spelling[] = ([0, 1, 2] as const).flatMap((offset) => [
  base64Spelling(offset, "base64"),
  base64Spelling(offset, "base64url"),
]);

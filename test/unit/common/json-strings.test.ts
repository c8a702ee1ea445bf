import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeString } from "#common/json/decode-string.ts";
import { JsonTokens } from "#common/json/json-tokens.ts";

const writtenString = fc
  .array(
    fc.oneof(
      fc.string({ unit: "binary" }).map((text) => JSON.stringify(text).slice(1, -1)),
      fc.stringMatching(
        /^(\\u[0-9a-fA-F]{4}|\\["\\/bfnrt]|\\u[dD][89a-fA-F][0-9a-f]{2}|[ -!#-[\]-~é日😀]){0,9}$/u,
      ),
    ),
    { maxLength: 4 },
  )
  .map((parts) => `"${parts.join("")}"`);

describe("a string in JSON", () => {
  it("a string in JSON decodes to the bytes that JSON.parse gives, in however many steps", () => {
    fc.assert(
      fc.property(writtenString, fc.integer({ min: 1, max: 20 }), (written, step) => {
        const text = Buffer.from(written);
        const target = Buffer.alloc(text.length);
        const position = { from: 1, to: 0 };
        while (position.from < text.length - 1) decodeString(text, text.length - 1, target, position, step);
        expect(target.subarray(0, position.to)).toEqual(Buffer.from(JSON.parse(written)));
      }),
      { numRuns: 2_000 },
    );
  });

  it("a string in JSON is read alike wherever the reader pauses, and its half surrogates are noticed", () => {
    fc.assert(
      fc.property(writtenString, fc.integer({ min: 1, max: 9 }), (written, step) => {
        const text = Buffer.from(`[${written}, {${written} :1}]`);
        const tokens = new JsonTokens(text);
        const seen: unknown[] = [];
        for (let token = tokens.next(); token !== "end"; token = tokens.next()) {
          if (token === "pause") tokens.pauseAt = tokens.position + step;
          else if (token === "string" || token === "key") {
            seen.push([token, text.toString("utf8", tokens.start - 1, tokens.end + 1)]);
            expect(tokens.hasEscapes).toBe(written.includes("\\"));
            expect(tokens.hasLoneSurrogate).toBe(!JSON.parse(written).isWellFormed());
          }
          tokens.pauseAt = tokens.position + step;
        }
        expect(seen).toEqual([
          ["string", written],
          ["key", written],
        ]);
      }),
      { numRuns: 2_000 },
    );
  });
});

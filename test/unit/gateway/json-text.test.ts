import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { outlineJson } from "../../../gateway/json-text.ts";

/** JSON text of many shapes, with whitespace wherever JSON allows it, and numbers no float could hold. */
const whitespace = fc.stringMatching(/^[ \t\r\n]{0,3}$/);
const numberText = fc.stringMatching(/^-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,4})?$/);
const stringText = fc.oneof(
  fc.string({ unit: "binary" }).map((text) => JSON.stringify(text)),
  fc.stringMatching(/^"(\\u[0-9a-f]{4}|\\["\\/bfnrt]|[{}[\]:, a-z])*"$/),
);
const { json: jsonText } = fc.letrec<{ json: string }>((tie) => ({
  json: fc
    .tuple(
      whitespace,
      fc.oneof(
        { depthSize: "small" },
        numberText,
        stringText,
        fc.constantFrom("true", "false", "null"),
        fc.array(tie("json")).map((items) => `[${items.join(",")}]`),
        fc.array(fc.tuple(stringText, tie("json"))).map(asObject),
      ),
      whitespace,
    )
    .map((parts) => parts.join("")),
}));

function asObject(members: readonly (readonly [string, string])[]): string {
  return `{${members.map(([key, value]) => `${key}:${value}`).join(",")}}`;
}

describe("outlineJson", () => {
  it("gives each outermost member's value back as it was written, in order", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(whitespace, stringText, whitespace, jsonText)),
        whitespace,
        (members, end) => {
          const text = asObject(
            members.map(([before, key, after, value]) => [`${before}${key}${after}`, value]),
          );
          const outline = outlineJson(`${text}${end}`, 1_000);
          expect(outline.tooDeep).toBe(false);
          expect(outline.members).toEqual(
            members.map(([, key, , value]) => ({ key: JSON.parse(key), text: value.trim() })),
          );
        },
      ),
    );
  });

  it("agrees with JSON.parse on every member", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.nat(4), (value, indent) => {
        const { members } = outlineJson(JSON.stringify(value, null, indent), 1_000);
        expect(members.map(({ key, text }) => [key, JSON.parse(text)])).toEqual(
          Object.entries(JSON.parse(JSON.stringify(value))),
        );
      }),
    );
  });

  it("keeps the digits that a float would lose", () => {
    const numbers = ["9007199254740993", "1.0", "5e-324", "-0.0", "9223372036854775809", "1E400", "0.10"];
    const text = asObject(numbers.map((number, index) => [`"n${index}"`, ` ${number}\n`]));
    expect(outlineJson(text, 10).members.map((member) => member.text)).toEqual(numbers);
  });

  it("ends on any text at all", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[{}[\]",:\\a]*$/)), (text) => {
        expect(outlineJson(text, 10).members.length).toBeLessThanOrEqual(text.length);
      }),
    );
  });

  it.each([
    [200, false],
    [201, true],
  ])("says of %i levels that they are too deep: %s", (depth, tooDeep) => {
    expect(outlineJson("[".repeat(depth) + "]".repeat(depth), 200).tooDeep).toBe(tooDeep);
    expect(outlineJson(`${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`, 200).tooDeep).toBe(tooDeep);
  });

  it("does not count brackets in strings", () => {
    expect(outlineJson(JSON.stringify({ a: "[".repeat(1_000), "{{{{": '\\"[[' }), 2).tooDeep).toBe(false);
  });

  it("takes time in proportion to the text, whatever it holds", () => {
    const started = performance.now();
    for (const piece of ["\\", '"', '\\"', "{}", "[1,", '"a":"']) {
      outlineJson(`{"a":"${piece.repeat(1_000_000)}`, 200);
    }
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});

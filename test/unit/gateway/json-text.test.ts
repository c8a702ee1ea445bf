import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { atOnce } from "#common/event-loop/turn.ts";
import { JsonSyntaxError } from "#common/json/json-tokens.ts";
import { objectOf, outlineJson, TooDeep } from "../../../gateway/rest/body/json-text.ts";

/** JSON text of many shapes, with whitespace wherever JSON allows it, and numbers no float could hold. */
const whitespace = fc.stringMatching(/^[ \t\r\n]{0,3}$/);
const numberText = fc.stringMatching(/^-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,4})?$/);
const stringText = fc.oneof(
  fc.string({ unit: "grapheme" }).map((text) => JSON.stringify(text)),
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

function outline(text: string, depth = 1_000, outer = 10_000, inner = 10_000) {
  const bytes = Buffer.from(text);
  const found = atOnce(outlineJson(bytes, { depth, outer, inner }));
  const members = found.kind === "object" ? found.members : [];
  return {
    ...found,
    members: members.map(({ key, start, end }) => ({ key, text: bytes.toString("utf8", start, end) })),
    value: objectOf(members),
    innerTwice: members.map((member) => [...member.twice]),
  };
}

/** A value with all that is nested deeper than two levels left out. */
function shallow(value: object): unknown {
  const cut = (each: unknown) =>
    Array.isArray(each) ? [] : typeof each === "object" && each !== null ? {} : each;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) =>
      typeof member !== "object" || member === null || Array.isArray(member)
        ? [key, cut(member)]
        : [key, Object.fromEntries(Object.entries(member).map(([name, inner]) => [name, cut(inner)]))],
    ),
  );
}

describe("outlineJson", () => {
  it("outlineJson returns each outermost member's value as it was written, in order", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(whitespace, stringText, whitespace, jsonText)),
        whitespace,
        (members, end) => {
          const text = asObject(
            members.map(([before, key, after, value]) => [`${before}${key}${after}`, value]),
          );
          expect(outline(`${text}${end}`).members).toEqual(
            members.map(([, key, , value]) => ({ key: JSON.parse(key), text: value.trim() })),
          );
        },
      ),
    );
  });

  it("outlineJson builds what JSON.parse builds, to the second level", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.nat(4), (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        const { members, value: built } = outline(text);
        expect(members.map(({ key, text }) => [key, JSON.parse(text)])).toEqual(
          Object.entries(JSON.parse(JSON.stringify(value))),
        );
        expect(JSON.parse(JSON.stringify(built))).toEqual(shallow(JSON.parse(text)));
      }),
    );
  });

  it("outlineJson keeps the digits that a float would lose", () => {
    const numbers = ["9007199254740993", "1.0", "5e-324", "-0.0", "9223372036854775809", "1E400", "0.10"];
    const text = asObject(numbers.map((number, index) => [`"n${index}"`, ` ${number}\n`]));
    expect(outline(text).members.map((member) => member.text)).toEqual(numbers);
  });

  it("outlineJson accepts and refuses the same texts as JSON.parse", () => {
    const isTaken = (read: () => unknown, ...refusals: (new (...args: never[]) => Error)[]) => {
      try {
        read();
        return true;
      } catch (error) {
        expect(refusals.some((refusal) => error instanceof refusal)).toBe(true);
        return false;
      }
    };
    const text = fc.oneof(
      fc.string({ unit: "grapheme" }),
      fc.stringMatching(/^[{}[\]",:\\a10.e-]*$/),
      jsonText.chain((json) => fc.nat(json.length).map((at) => json.slice(0, at) + json.slice(at + 1))),
    );
    fc.assert(
      fc.property(text, (text) => {
        fc.pre(text.isWellFormed());
        expect(isTaken(() => outline(text), JsonSyntaxError)).toBe(
          isTaken(() => JSON.parse(text), SyntaxError),
        );
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    [200, false],
    [201, true],
  ])("outlineJson says of %i levels that they are too deep: %s", (depth, tooDeep) => {
    for (const text of [
      "[".repeat(depth) + "]".repeat(depth),
      `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`,
    ]) {
      if (tooDeep) expect(() => outline(text, 200)).toThrow(TooDeep);
      else expect(outline(text, 200).kind).toBe(text.startsWith("[") ? "array" : "object");
    }
  });

  it("outlineJson does not count brackets in strings", () => {
    expect(outline(JSON.stringify({ a: "[".repeat(1_000), "{{{{": '\\"[[' }), 2).kind).toBe("object");
  });

  it("outlineJson notices keys that are given twice, on both levels, however they are written", () => {
    const found = outline('{"a":{"k":1,"\\u006b":2,"l":{"x":1,"x":2}},"b":1,"\\u0062":2}');
    expect(found.innerTwice).toEqual([["k"], [], []]);
    expect("twice" in found && [...found.twice]).toEqual(["b"]);
  });

  it("outlineJson of a wide object keeps the first members of each kind", () => {
    const wide = Array.from({ length: 50 }, (_, n) => `"k${n}":{}`).join(",");
    const { value } = outline(`{"memory":{${wide},"last":7,"more":8,"s":"x"}}`, 10, 10, 5);
    expect(value.memory).toEqual({ k0: {}, k1: {}, k2: {}, k3: {}, k4: {}, k5: {}, last: 7, s: "x" });
  });
});

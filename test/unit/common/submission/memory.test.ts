import fc from "fast-check";
import { visit } from "jsonc-parser";
import { describe, expect, it } from "vitest";
import { KeyTable } from "#common/submission/key-table.ts";
import { memoryProblem } from "#common/submission/memory.ts";
import { longestStretchMs } from "../../../support/stretches.ts";

const MIB = 1024 * 1024;
const MAX_STRETCH_MS = 50;

/** JSON text with keys that are often equal, halves of characters, and numbers at the edge of a float. */
const key = fc.constantFrom(
  '"a"',
  '"\\u0061"',
  '"b"',
  '"é"',
  '"\\u00e9"',
  '"\\ud83d\\ude00"',
  '"😀"',
  '"\\ud800"',
  '"__proto__"',
  '""',
);
const { json } = fc.letrec<{ json: string }>((tie) => ({
  json: fc.oneof(
    { depthSize: "small" },
    fc.constantFrom(
      "1",
      "-0.0",
      "1e400",
      "1e-400",
      "-1E999",
      `${"9".repeat(320)}`,
      `${"9".repeat(320)}.5`,
      "true",
      "null",
      '"x"',
      '"\\udc00"',
      '"\\ud83d\\ude00"',
      "nul",
      "01",
    ),
    fc.array(tie("json"), { maxLength: 3 }).map((items) => `[${items.join(" , ")}]`),
    fc
      .array(fc.tuple(key, tie("json")), { maxLength: 4 })
      .map((members) => `{${members.map((pair) => pair.join(":")).join(",")}}`),
  ),
}));
const memory = fc.oneof(
  json,
  fc
    .array(fc.tuple(key, json), { maxLength: 3 })
    .map((members) => `{${members.map(([name, value]) => `${name}:{"k":${value}}`).join(",")}}`),
);

/** The plain reading of what a memory may not hold. */
function plainly(text: string): RegExp | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return /not valid JSON|must be an object/;
  }
  const isObject = (each: unknown) => typeof each === "object" && each !== null && !Array.isArray(each);
  if (!isObject(value)) return /must be an object/;
  const problems: RegExp[] = [];
  const keys: Set<string>[] = [];
  const categories: unknown[] = [];
  let depth = 0;
  const begin = (value: unknown) => {
    if (depth === 1) categories.push(value);
    depth++;
  };
  const check = (text: string) => void (text.isWellFormed() || problems.push(/surrogate/));
  visit(text, {
    onObjectBegin: () => {
      begin({});
      keys.push(new Set());
    },
    onObjectEnd: () => {
      depth--;
      keys.pop();
    },
    onArrayBegin: () => begin([]),
    onArrayEnd: () => void depth--,
    onObjectProperty(name) {
      check(name);
      if (keys.at(-1)?.has(name)) problems.push(/same key twice/);
      keys.at(-1)?.add(name);
    },
    onLiteralValue(literal: unknown, offset, length) {
      if (depth === 1) categories.push(literal);
      if (typeof literal === "string") check(literal);
      const isFloat = /[.eE]/.test(text.slice(offset, offset + length));
      if (typeof literal === "number" && isFloat && !Number.isFinite(literal))
        problems.push(/float cannot hold/);
    },
  });
  return categories.every(isObject) ? problems[0] : /must be an object/;
}

const members = (count: number, one: (n: number) => string) =>
  `{${Array.from({ length: count }, (_, n) => one(n)).join(",")}}`;

/** Memories of fifteen megabytes, of the shapes that cost most. */
const LARGE: Readonly<Record<string, () => string>> = {
  "small keys": () => `{"a":${members(1_300_000, (n) => `"k${n}":1`)}}`,
  "small keys with escapes": () => `{"a":${members(900_000, (n) => `"\\u006b${n}":1`)}}`,
  "small categories": () => members(1_000_000, (n) => `"k${n}":{}`),
  "small objects": () => `{"a":{"k":[${Array(1_900_000).fill('{"":1}').join(",")}]}}`,
  "one string": () => `{"a":{"k":"${"x".repeat(15 * MIB)}"}}`,
  "one string of escapes": () => `{"a":{"k":"${"\\n".repeat(7 * MIB)}"}}`,
  "one string beyond Latin-1": () => `{"a":{"k":"${"日".repeat(5 * MIB)}"}}`,
  "one key": () => `{"a":{"${"x".repeat(15 * MIB)}":1}}`,
  "numbers with exponents": () => `{"a":{"k":[${Array(3_000_000).fill("1e10").join(",")}]}}`,
  "the digits of one number": () => `{"a":{"k":${"7".repeat(15 * MIB)}}}`,
  blanks: () => `{"a":{"k":${" ".repeat(15 * MIB)}1}}`,
  brackets: () => `{"a":{"k":[${Array(3_500_000).fill("[]").join(",")}]}}`,
};

describe("the check of a memory", () => {
  it("the check of a memory finds the same mistakes as a plain parser", async () => {
    await fc.assert(
      fc.asyncProperty(memory, async (text) => {
        const expected = plainly(text);
        const found = await memoryProblem(text);
        if (expected) expect(found).toMatch(expected);
        else expect(found).toBeUndefined();
      }),
      { numRuns: 3_000 },
    );
  });

  it.each([
    [198, undefined],
    [199, /deeper than 200/],
  ])("the check of a memory of %i arrays in two objects says %s", async (depth, expected) => {
    const found = await memoryProblem(`{"a":{"k":${"[".repeat(depth)}${"]".repeat(depth)}}}`);
    if (expected) expect(found).toMatch(expected);
    else expect(found).toBeUndefined();
  });

  it.each(Object.keys(LARGE))(
    "the check of a large memory does not block the process for long: %s",
    async (name) => {
      const text = LARGE[name]?.() ?? "";
      let problem: string | undefined;
      const longestMs = await longestStretchMs(async () => {
        problem = await memoryProblem(text);
      }, MAX_STRETCH_MS);
      expect(problem).toBeUndefined();
      expect(longestMs).toBeLessThan(MAX_STRETCH_MS);
    },
  );

  it("the check of a memory finds the one key of a million that is given twice", async () => {
    const text = `{"a":${members(1_000_001, (n) => `"k${n % 1_000_000}":1`)}}`;
    expect(await memoryProblem(text)).toMatch(/same key twice/);
  });
});

describe("the table of keys", () => {
  it("the table of keys knows exactly the keys that were added, by object and key", () => {
    const entries = fc.array(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.string({ maxLength: 3 })), {
      maxLength: 300,
    });
    fc.assert(
      fc.property(entries, (added) => {
        const written = added.map(([, name]) => JSON.stringify(name));
        const table = new KeyTable(Buffer.from(written.join("")));
        const seen = new Set<string>();
        let at = 0;
        for (const [index, [object, name]] of added.entries()) {
          const length = Buffer.byteLength(written[index] as string);
          const hasEscapes = (written[index] as string).includes("\\");
          expect(table.add(object, at + 1, at + length - 1, hasEscapes)).toBe(!seen.has(`${object} ${name}`));
          seen.add(`${object} ${name}`);
          at += length;
        }
      }),
    );
  });
});

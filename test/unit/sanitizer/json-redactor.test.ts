import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileNeedles } from "#common/redaction/needles/needle-set.ts";
import { redactJson } from "../../../services/sanitizer/json/redactor.ts";
import { PROPERTY_TIMEOUT_MS, propertyRuns } from "../../support/property-runs.ts";
import { secretValues, textAround } from "./samples/arbitraries.ts";
import { naivelyRedacted, naiveRegions } from "./samples/naive.ts";

const never = new AbortController().signal;

async function redact(values: readonly string[], json: string | Uint8Array): Promise<string> {
  const edits = await redactJson(Buffer.from(json as string), compileNeedles(values), () => [], never);
  return Buffer.concat([...edits.pieces()]).toString();
}

/** JSON with every character of every string written as an escape; no value of these tests has a digit, or a letter in capitals. */
function escapedThroughout(json: string): string {
  return json.replace(/"((?:[^"\\]|\\.)*)"/g, (whole) => {
    const text: string = JSON.parse(whole);
    const units = Array.from({ length: text.length }, (_, at) => text.charCodeAt(at));
    return `"${units.map((unit) => `\\u${unit.toString(16).toUpperCase().padStart(4, "0")}`).join("")}"`;
  });
}

describe("the redaction of JSON", () => {
  it("the redaction of JSON finds no needle across the escapes of another text", async () => {
    expect(await redact(["a日本-secret"], '"\\u000a\\u65e5\\u672c-secret"')).toBe('"[REDACTED]"');
  });

  it(
    "the redaction of JSON redacts each string as the text that it stands for",
    async () => {
      const cases = secretValues.chain((values) => fc.tuple(fc.constant(values), textAround(values)));
      await fc.assert(
        fc.asyncProperty(cases, async ([values, text]) => {
          const { needles } = compileNeedles(values);
          // With the quotes of JSON, or the backslash of the next escape, it would be more than the text.
          fc.pre(needles.every(({ bytes }) => !/^"|["\\]$/.test(Buffer.from(bytes).toString())));
          // What stands around a word is looked at as it is written.
          fc.pre(needles.every(({ check }) => check === undefined));
          const written = escapedThroughout(JSON.stringify(text));
          // No needle may survive in the written form either, such as one that begins with the last digit of an escape.
          const isWhole = (place: number) => (place - 1) % "\\u0000".length === 0;
          const inWritten = naiveRegions(Buffer.from(written), needles);
          fc.pre(inWritten.every(({ start, end }) => isWhole(start) && isWhole(end)));
          const expected = naivelyRedacted(Buffer.from(text), needles).toString();
          expect(JSON.parse(await redact(values, written))).toBe(expected);
        }),
        propertyRuns(1_000),
      );
    },
    PROPERTY_TIMEOUT_MS,
  );

  it("the redaction of JSON takes no backslash before a secret for a half of its first one", async () => {
    const value = "\\é-a-secret";
    const text = `😀\\\\${value}`;
    for (const written of [JSON.stringify(text), escapedThroughout(JSON.stringify(text))])
      expect(JSON.parse(await redact([value], written))).toBe("😀\\[REDACTED]");
  });

  it(
    "the redaction of JSON gives valid JSON without any needle, in whatever way the document was written",
    async () => {
      const cases = secretValues.chain((values) => {
        const text = textAround(values);
        const document = fc.letrec((tie) => ({
          value: fc.oneof({ maxDepth: 3 }, text, fc.double(), fc.constant(null), tie("list"), tie("object")),
          list: fc.array(tie("value"), { maxLength: 3 }),
          object: fc.dictionary(text, tie("value"), { maxKeys: 3 }),
        })).value;
        const written = fc
          .tuple(document, fc.constantFrom(0, 1), fc.boolean())
          .map(([value, space, escaped]) => {
            const json = JSON.stringify(value, null, space);
            return escaped ? escapedThroughout(json) : json;
          });
        return fc.tuple(fc.constant(values), written);
      });
      await fc.assert(
        fc.asyncProperty(cases, async ([values, json]) => {
          const output = await redact(values, json);
          JSON.parse(output);
          for (const { bytes, check } of compileNeedles(values).needles) {
            // Words, numbers and samples of longer values are no secrets wherever they stand.
            if (check !== undefined) continue;
            expect(Buffer.from(output).includes(Buffer.from(bytes))).toBe(false);
          }
          expect(await redact([], json)).toBe(json);
        }),
        propertyRuns(700),
      );
    },
    PROPERTY_TIMEOUT_MS,
  );

  it("the redaction of JSON keeps the bytes of all that it does not change", async () => {
    const json =
      ' { "a" :\t1.0,"big":9223372036854775809, "t":5e-324,"n":-0.0,"é\\u00e9\\/":"\\ud800","s":"my-secret"}\n';
    expect(await redact(["my-secret"], json)).toBe(json.replace("my-secret", "[REDACTED]"));
    expect(await redact(["other-secret"], json)).toBe(json);
  });

  it("the redaction of JSON keeps the spelling of the rest of a string that it changes", async () => {
    expect(await redact(["my-secret"], '"\\u00e9\\/ my-\\u0073ecret \\ud83d\\ude00\\ud800\\n"')).toBe(
      '"\\u00e9\\/ [REDACTED] \\ud83d\\ude00\\ud800\\n"',
    );
  });

  it("the redaction of JSON shows no last four characters that are a line of the secret", async () => {
    const value = "a long first line 1\n😀😀😀😀";
    expect(await redact([value], JSON.stringify([value]))).toBe('["[REDACTED]"]');
  });

  it("the redaction of JSON escapes the characters that a marker shows", async () => {
    const value = 'a long secret "\\é';
    expect(JSON.parse(await redact([value], JSON.stringify([value])))).toEqual(['[REDACTED... "\\é]']);
  });

  it("the redaction of JSON keeps JSON inside a JSON string well-formed", async () => {
    const value = 'a long secret\n "\\é';
    const output = await redact([value], JSON.stringify(JSON.stringify({ key: value })));
    expect(JSON.parse(JSON.parse(output))).toEqual({ key: '[REDACTED... "\\é]' });
  });

  it("the redaction of JSON redacts keys and loses none when two become equal", async () => {
    const json = '{"one-secret":1,"x":{"one-secret":2},"two-secret":3,"[REDACTED] (2)":4,"[REDACTED]":5}';
    expect(await redact(["one-secret", "two-secret"], json)).toBe(
      '{"[REDACTED] (3)":1,"x":{"[REDACTED]":2},"[REDACTED] (4)":3,"[REDACTED] (2)":4,"[REDACTED]":5}',
    );
  });

  it("the redaction of JSON leaves duplicate keys alone that hold no secret", async () => {
    const json = '{"a":1,"a":2,"k":"my-secret"}';
    expect(await redact(["my-secret"], json)).toBe('{"a":1,"a":2,"k":"[REDACTED]"}');
  });

  it.each(["8675309", "8675309.0", "8.675309e6", "8.675309E+6", "86753090e-1", "-8675309"])(
    "the redaction of JSON turns the number %s into a marker when the secret is 8675309",
    async (number) => {
      expect(await redact(["8675309"], `{"a":${number},"b":[${number}]}`)).toBe(
        '{"a":"[REDACTED]","b":["[REDACTED]"]}',
      );
    },
  );

  it.each(["18675309", "8675309123", "0.8675309", "8675309.5", "86753090"])(
    "the redaction of JSON leaves the number %s alone when the secret is 8675309",
    async (number) => {
      const json = `{"a":${number},"b":[${number}]}`;
      expect(await redact(["8675309"], json)).toBe(json);
    },
  );

  it("the redaction of JSON finds a long number that was converted to a double", async () => {
    expect(await redact(["12345678901234567890"], "[1.2345678901234567e+19, 7]")).toBe('["[REDACTED]", 7]');
  });

  it.each([
    ["48151623", "[1,48,151,623]"],
    ["481516", '{"xy":[481,516]}'],
    ["1122334455667788", "[11,22,33,44,55,66,77,88,99]"],
  ])("the redaction of JSON takes numbers beside each other for no digits of %s: %s", async (value, json) => {
    expect(await redact([value], json)).toBe(json);
  });

  it("the redaction of JSON finds a secret's digits where they are one number, or stand in one text", async () => {
    expect(await redact(["48151623"], '[48151623,"48,151,623",4.8151623e7]')).toBe(
      '["[REDACTED]","[REDACTED]","[REDACTED]"]',
    );
  });

  it("the redaction of JSON breaks up a secret that spans several tokens", async () => {
    const key = '{"type": "service", "id": 7}';
    const output = await redact([key], `{"a": ${key}, "b": 7}`);
    expect(JSON.parse(output).b).toBe(7);
    expect(output).not.toContain("service");
    expect(output).not.toContain("7}, ");
  });

  it("the redaction of JSON finds a secret with quotes that is the spelling of a whole string", async () => {
    expect(await redact(['"abcdef"'], '["abcdef"]')).toBe('["[REDACTED]"]');
  });

  it("JSON is withheld when a secret stands in brackets and literals only", async () => {
    await expect(redact(["[[[[[["], "[[[[[[[[1]]]]]]]]")).rejects.toMatchObject({ code: "output_withheld" });
    await expect(redact(["null,null"], "[null,null,null]")).rejects.toMatchObject({
      code: "output_withheld",
    });
  });

  it.each([
    "",
    " ",
    "{",
    "[1",
    '{"a":1,}',
    "[1,]",
    "[1 2]",
    '{"a"}',
    "{1:2}",
    "{'a':1}",
    "01",
    "1.",
    "-",
    ".5",
    "1e",
    "+1",
    "NaN",
    "-Infinity",
    "nul",
    "truefalse",
    '"a',
    '"\u0001"',
    '"\\x"',
    '"\\u12g4"',
    "1 1",
    "[]]",
    "[}",
    "\ufeff1",
    "[1]\0",
  ])("the redaction of JSON refuses %j, which is not JSON", async (text) => {
    await expect(redact(["my-secret"], text)).rejects.toMatchObject({ code: "output_withheld" });
  });

  it("the redaction of JSON refuses bytes that are not UTF-8", async () => {
    await expect(redact([], Buffer.from([0x22, 0xff, 0x22]))).rejects.toMatchObject({
      code: "output_withheld",
    });
  });

  it(
    "the redaction of JSON accepts exactly the texts that JSON.parse accepts",
    async () => {
      const fragment = fc.constantFrom(
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        '"a"',
        '"\\n"',
        "1",
        "-1.5e3",
        "0",
        "true",
        "null",
        " ",
        "\n",
        ".",
        "-",
      );
      await fc.assert(
        fc.asyncProperty(fc.array(fragment, { maxLength: 7 }), async (parts) => {
          const text = parts.join("");
          const outcome = await redact([], text).catch((error) => error.code);
          let expected = text;
          try {
            JSON.parse(text);
          } catch {
            expected = "output_withheld";
          }
          expect(outcome).toBe(expected);
        }),
        propertyRuns(20_000),
      );
    },
    PROPERTY_TIMEOUT_MS,
  );

  it("the redaction of JSON handles a hundred thousand nested brackets", async () => {
    const json = `${"[".repeat(100_000)}"my-secret"${"]".repeat(100_000)}`;
    expect(await redact(["my-secret"], json)).toBe(json.replace("my-secret", "[REDACTED]"));
  });
});

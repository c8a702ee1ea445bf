import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { markerFor } from "../../../services/common/redaction/markers.ts";
import { needlesOf, numbersOf } from "../../../services/common/redaction/needles.ts";

function texts(values: string[]): string[] {
  return needlesOf(values).map(({ bytes }) => Buffer.from(bytes).toString());
}

function replacementOf(value: string, needle: string): string {
  const found = needlesOf([value]).find(({ bytes }) => Buffer.from(bytes).toString() === needle);
  return Buffer.from(found?.replacement ?? []).toString();
}

describe("markers", () => {
  it("show the last four characters from twelve characters up", () => {
    expect(markerFor("12345678901")).toBe("[REDACTED]");
    expect(markerFor("123456789012")).toBe("[REDACTED...9012]");
  });

  it("count characters, not bytes or UTF-16 units, and cut none in two", () => {
    expect(markerFor("日".repeat(11))).toBe("[REDACTED]");
    expect(markerFor("😀".repeat(11))).toBe("[REDACTED]");
    expect(markerFor("😀".repeat(12))).toBe("[REDACTED...😀😀😀😀]");
  });

  it("show nothing of an ending that cannot be printed", () => {
    expect(markerFor("line one\nline two\n")).toBe("[REDACTED]");
    expect(markerFor("123456789012\u202e")).toBe("[REDACTED]");
  });
});

describe("needles", () => {
  it("of a plain value are the value, its hex and its base64", () => {
    expect(texts(["plain-value"])).toEqual([
      "plain-value",
      "706c61696e2d76616c7565",
      "706C61696E2D76616C7565",
      "cGxhaW4tdmFsdW",
      "BsYWluLXZhbHVl",
      "wbGFpbi12YWx1Z",
    ]);
  });

  it("of a multi-line value are the whole and each line of eight bytes", () => {
    expect(texts(["first line\r\nshort\nthe second"])).toEqual(
      expect.arrayContaining(["first line\r\nshort\nthe second", "first line", "the second"]),
    );
    expect(texts(["first line\r\nshort\nthe second"])).not.toContain("short");
  });

  it("give a line the marker that its own length allows", () => {
    const needles = needlesOf(["short one\nthis line is long"]);
    const marker = (text: string) =>
      needles.find(({ bytes }) => Buffer.from(bytes).equals(Buffer.from(text)))?.marker;
    expect(marker("short one")).toBe("[REDACTED]");
    expect(marker("this line is long")).toBe("[REDACTED...long]");
  });

  it.each([
    ['a"b\\c/d\n', 'a\\"b\\\\c/d\\n'],
    ['a"b\\c/d\n', 'a\\"b\\\\c\\/d\\n'],
    ["tab\tand\u001f", "tab\\tand\\u001f"],
    ["tab\tand\u001f", "tab\\tand\\u001F"],
    ["pässwörd", "pässwörd"],
    ["pässwörd", "p\\u00e4ssw\\u00f6rd"],
    ["pässwörd", "p\\u00E4ssw\\u00F6rd"],
    ["key/ä", "key\\/\\u00e4"],
    ["smile😀", "smile\\ud83d\\ude00"],
    ["smile😀", "smile\\uD83D\\uDE00"],
    ["delete\u007f", "delete\\u007f"],
  ])("of %j include the JSON spelling %s", (value, spelling) => {
    expect(texts([value])).toContain(spelling);
    expect(JSON.parse(`"${spelling}"`)).toBe(value);
  });

  it("keep JSON text well-formed where the last four characters need escapes", () => {
    const value = 'a long secret "é';
    expect(replacementOf(value, value)).toBe('[REDACTED...t "é]');
    expect(replacementOf(value, 'a long secret \\"\\u00e9')).toBe('[REDACTED...t \\"\\u00e9]');
  });

  it.each([
    // repr, ascii and the repr of the bytes
    ["it's\u200b日é\x01", "it's\\u200b日é\\x01"],
    ["it's\u200b日é\x01", "it\\'s\\u200b\\u65e5\\xe9\\x01"],
    ["it's\u200b日é\x01", "it's\\xe2\\x80\\x8b\\xe6\\x97\\xa5\\xc3\\xa9\\x01"],
    ["smile\\😀", "smile\\\\\\U0001f600"],
    // URLs
    ["a b/c+é~'", "a%20b/c%2B%C3%A9~%27"],
    ["a b/c+é~'", "a%20b%2Fc%2B%C3%A9~%27"],
    ["a b/c+é~'", "a+b%2Fc%2B%C3%A9~%27"],
    ["a b/c+é~'", "a%20b%2fc%2b%c3%a9~'"],
    ["a b/c+é~'", "a+b%2Fc%2B%C3%A9%7E%27"],
    // HTML
    ["<a&b>\"'é", "&lt;a&amp;b&gt;&quot;&#x27;é"],
    ["<a&b>\"'é", "&lt;a&amp;b&gt;&#34;&#39;é"],
    ["<a&b>\"'é", "&lt;a&amp;b&gt;\"'&#233;"],
  ])("of %j include %s", (value, spelling) => {
    expect(texts([value])).toContain(spelling);
  });

  it("catch base64 of whatever a value is embedded in, in both alphabets", () => {
    const value = fc.string({ unit: "binary", minLength: 6 }).filter((text) => Buffer.byteLength(text) >= 6);
    fc.assert(
      fc.property(value, fc.uint8Array(), fc.uint8Array(), (text, before, after) => {
        const embedded = Buffer.concat([before, Buffer.from(text), after]);
        const caught = (encoded: string) => texts([text]).some((needle) => encoded.includes(needle));
        expect(caught(embedded.toString("base64"))).toBe(true);
        expect(caught(embedded.toString("base64url"))).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  it("agree with the encoders of this platform", () => {
    const value = fc.string({ unit: "grapheme", minLength: 6 }).filter((text) => text.isWellFormed());
    fc.assert(
      fc.property(value, (text) => {
        const found = texts([text]);
        const form = new URLSearchParams({ k: text }).toString().slice(2);
        expect(found).toContain(JSON.stringify(text).slice(1, -1));
        expect(found).toContain(encodeURIComponent(text));
        expect(found).toContain(encodeURI(text));
        // Forms turn lone line breaks into pairs only when they are sent, not here.
        expect(found).toContain(form);
        expect(found).toContain(Buffer.from(text).toString("hex"));
      }),
    );
  });

  it("stand once even if several secrets share them", () => {
    expect(texts(["same-value", "same-value"])).toEqual(texts(["same-value"]));
  });
});

describe("secrets that are numbers", () => {
  it("are known by their value", () => {
    const numbers = numbersOf(["8675309", "-12345.50", "1.5e3", "001234567"]);
    expect([...numbers.keys()]).toEqual([8675309, 12345.5, 1500, 1234567]);
  });

  it("are left to their spelling when their value is too common", () => {
    expect(numbersOf(["000000", "1.00000", "00000042", "1e999999", "12 34 56", "0x1234", "NaN"]).size).toBe(
      0,
    );
  });
});

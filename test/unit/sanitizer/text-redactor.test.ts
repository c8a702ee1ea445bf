import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { markerFor } from "#common/redaction/markers.ts";
import { compileNeedles, type NeedleSet } from "#common/redaction/needles/needle-set.ts";
import { RedactionCounts } from "#common/redaction/redaction-counts.ts";
import { TextRedactor } from "#common/redaction/text-redactor.ts";
import { PROPERTY_TIMEOUT_MS, propertyRuns } from "../../support/property-runs.ts";
import { chunksOf, secretValues, textAround } from "./samples/arbitraries.ts";
import { ENCODERS } from "./samples/encoders.ts";
import { naivelyRedacted, naiveRegions, possibleBeginning } from "./samples/naive.ts";

function redact(needles: NeedleSet, chunks: readonly Uint8Array[], cut = false) {
  const redactor = new TextRedactor(needles);
  const pieces = chunks.flatMap((chunk) => redactor.push(chunk).map((piece) => Buffer.from(piece)));
  const last = redactor.end(cut);
  return { text: Buffer.concat([...pieces, ...last.pieces]), droppedBytes: last.droppedBytes };
}

function redacted(values: string[], text: string): string {
  return redact(compileNeedles(values), [Buffer.from(text)]).text.toString();
}

function bytewise(text: Buffer): Buffer[] {
  return Array.from(text, (byte) => Buffer.of(byte));
}

const valuesAndText = secretValues.chain((values) => fc.tuple(fc.constant(values), textAround(values)));

describe("the redaction of a text", () => {
  // One secret at a time: which signs may begin an escape depends on the characters of all secrets.
  it.each([
    ["a shell's apostrophe", "2GNxI9hOYnn'KCH8rh", (text: string) => text.replaceAll("'", `'"'"'`)],
    ["a shell's apostrophe by backslash", "2GNxI9hOYnn'KCH8rh", (text) => text.replaceAll("'", "'\\''")],
    ["a shell's quotation mark", '2GNxI9hOYnn"KCH8rh', (text) => text.replaceAll('"', `"'"'"`)],
    ["an apostrophe of SQL", "2GNxI9hOYnn'KCH8rh", (text) => text.replaceAll("'", "''")],
    ["a quotation mark of CSV", '2GNxI9hOYnn"KCH8rh', (text) => text.replaceAll('"', '""')],
    ["a per cent sign of configparser", "a%Vw2Lz8RkT4nQ9xM7b", (text) => text.replaceAll("%", "%%")],
    ["a dollar sign of Compose", "a$Vw2Lz8RkT4nQ9xM7b", (text) => text.replaceAll("$", () => "$$")],
    ["braces of format strings", "a{Vw2Lz8}RkT4nQ9xM7", (text) => text.replace("{", "{{").replace("}", "}}")],
    ["a bracket of T-SQL", "a]Vw2Lz8RkT4nQ9xM7b", (text) => text.replaceAll("]", "]]")],
    ["a grave accent of SQL", "a`Vw2Lz8RkT4nQ9xM7b", (text) => text.replaceAll("`", "``")],
  ] as [string, string, (text: string) => string][])(
    "the redaction of a text finds a value by the sign written for %s, when no other secret has such a sign",
    (_what, value, write) => {
      expect(redacted([value], `x ${write(value)} y`)).toBe(`x ${markerFor(value).toString()} y`);
    },
  );

  it(
    "the redaction of a text agrees with a naive implementation of the rules, however the text is cut into chunks",
    () => {
      const cases = valuesAndText.chain(([values, text]) =>
        fc.tuple(fc.constant(values), fc.constant(text), chunksOf(Buffer.from(text))),
      );
      fc.assert(
        fc.property(cases, ([values, text, chunks]) => {
          const needles = compileNeedles(values);
          const expected = naivelyRedacted(Buffer.from(text), needles.needles).toString();
          expect(redact(needles, chunks).text.toString()).toBe(expected);
          expect(redact(needles, bytewise(Buffer.from(text))).text.toString()).toBe(expected);
        }),
        propertyRuns(1_000),
      );
    },
    PROPERTY_TIMEOUT_MS,
  );

  it(
    "the redaction of a text agrees with a naive implementation in a long text, where most bytes are skipped",
    () => {
      const written = fc
        .tuple(valuesAndText, fc.constantFrom(...Object.keys(ENCODERS)), fc.nat(3))
        .map(([[values, text], encoder, shift]) => {
          const secret = ENCODERS[encoder]?.(values[0] ?? "", [new Uint8Array(), new Uint8Array()]) ?? "";
          return [values, ` ${text} ${secret} `, "z".repeat(100 + shift)] as const;
        });
      fc.assert(
        fc.property(written, ([values, text, before]) => {
          const needles = compileNeedles(values);
          const behind = "z".repeat(200);
          const expected = naivelyRedacted(Buffer.from(text), needles.needles).toString();
          const whole = Buffer.from(before + text + behind);
          expect(redact(needles, [whole]).text.toString()).toBe(before + expected + behind);
        }),
        propertyRuns(2_000),
      );
    },
    PROPERTY_TIMEOUT_MS,
  );

  it.each([
    ["an encoded form of itself", ["ab/abba\n"], "ab/abba\nb/abba\n", "[REDACTED]b/abba\n"],
    ["an encoded form of another secret", ["ab/abba\n", "a-plain-one"], "x a\n-plain-one", "x a\n-plain-one"],
  ])(
    "the redaction of a text passes no line end in a secret that begins like %s",
    (_what, values, text, expected) => {
      expect(redacted(values, text)).toBe(expected);
    },
  );

  it("the redaction of a text shows the end of the shortest of several readings in a marker", () => {
    const value = "aaababaaaaaa\\/aab";
    expect(redacted([value, "aaaaaa"], "aaababaaaaaa\\\\/aab")).toBe("[REDACTED.../aab]");
    expect(redacted([value], "aaababaaaaaa\\\\\\/aab")).toBe("[REDACTED...\\/aab]");
  });

  it("the redaction of a text takes the first half of a backslash with a secret, also within a possible other secret", () => {
    const values = ["\\abé-one", "1\\éa\\\\é-two"];
    expect(redacted(values, "1\\éa\\\\\\abé-one")).toBe("1\\éa\\[REDACTED]");
  });

  it("the redaction of a text takes linear time for a long run of colours behind the beginning of a secret", () => {
    const written = (sequences: number) => `m${"\x1b[31K".repeat(sequences)}y-secret-value`;
    expect(redacted(["my-secret-value"], written(25))).toBe("[REDACTED]");
    // More of them than 128 bytes would hold back all of a script's output.
    expect(redacted(["my-secret-value"], written(200_000))).toBe(written(200_000));
  });

  it("the redaction of a text reads a plus sign as a blank at the end of the text", () => {
    expect(redacted(["aaaaa "], "aaaaa+")).toBe("[REDACTED]");
  });

  it(
    "the redaction of a text leaves no needle behind",
    () => {
      fc.assert(
        fc.property(valuesAndText, ([values, text]) => {
          const needles = compileNeedles(values);
          const { text: output } = redact(needles, [Buffer.from(text)]);
          // Words, numbers and samples of longer values are no secrets wherever they stand.
          const always = needles.needles.filter(({ check }) => check === undefined);
          for (const { bytes } of always) expect(output.includes(Buffer.from(bytes))).toBe(false);
        }),
        propertyRuns(1_000),
      );
    },
    PROPERTY_TIMEOUT_MS,
  );

  it("the redaction of a text changes no byte when there are no secrets, valid UTF-8 or not", () => {
    const needles = compileNeedles([]);
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(redact(needles, [bytes, bytes]).text).toEqual(Buffer.concat([bytes, bytes]));
      }),
    );
  });

  it(
    "the redaction of a text drops at a cut a possible beginning of a secret, and counts it",
    () => {
      fc.assert(
        fc.property(valuesAndText, ([values, text]) => {
          const needles = compileNeedles(values);
          const bytes = Buffer.from(text);
          const { text: output, droppedBytes } = redact(needles, bytewise(bytes), true);
          // A whole secret that began before the possible beginning is told by its marker, also where the two overlap.
          const cutAt = bytes.length - possibleBeginning(bytes, needles.needles);
          const across = naiveRegions(bytes, needles.needles).find(
            ({ start, end }) => start < cutAt && end > cutAt,
          );
          expect(droppedBytes).toBeGreaterThanOrEqual(across ? 0 : bytes.length - cutAt);
          // An escape may have begun at the end, and a word may have gone on.
          expect(droppedBytes).toBeLessThanOrEqual(
            6 * Math.max(...values.map((value) => Buffer.byteLength(value))),
          );
          // What an escape at the cut stood for is not known, so only texts without any are compared.
          if (/["\\]/.test(text)) return;
          const kept = bytes.subarray(0, bytes.length - droppedBytes);
          expect(output.toString()).toBe(naivelyRedacted(kept, needles.needles).toString());
        }),
        propertyRuns(1_000),
      );
    },
    PROPERTY_TIMEOUT_MS,
  );

  it("the redaction of a text covers the union of overlapping secrets with one marker", () => {
    expect(redacted(["ab1def", "defgh2"], "-ab1defgh2-")).toBe("-[REDACTED]-");
    expect(redacted(["ab1def", "b1defghijklmn"], "ab1defghijklmn")).toBe("[REDACTED]");
    expect(redacted(["abcdefghijklmnop1jkl", "jkl-12"], "abcdefghijklmnop1jkl-12")).toBe("[REDACTED...1jkl]");
    expect(redacted(["a-a-a-"], "a-".repeat(5_000))).toBe("[REDACTED]");
  });

  it("the redaction of a text gives each of two secrets side by side its marker", () => {
    expect(redacted(["ab-def", "x2345678901234567"], "ab-defx2345678901234567ab-def")).toBe(
      "[REDACTED][REDACTED...4567][REDACTED]",
    );
  });

  it("the redaction of a text takes the longer of two secrets that begin, or end, alike", () => {
    expect(redacted(["token-1", "token-1-and-1-more"], "token-1 token-1-and-1-more token-1-and")).toBe(
      "[REDACTED] [REDACTED...more] [REDACTED]-and",
    );
    expect(redacted(["of-the-end", "the-tail-of-the-end"], "the-tail-of-the-end")).toBe(
      "[REDACTED... end]".replace(" ", "-"),
    );
  });

  it("the redaction of a text finds secrets inside a longer one that broke off", () => {
    expect(
      redacted(
        ["-------------------in-side-------------------", "in-side"],
        "-------------------in-side----",
      ),
    ).toBe("-------------------[REDACTED]----");
  });

  it("the redaction of a text sends text that only begins like a secret at the end, and drops it at a cut", () => {
    const needles = compileNeedles(["password-one"]);
    const text = [Buffer.from("it was passw")];
    expect(redact(needles, text)).toEqual({ text: Buffer.from("it was passw"), droppedBytes: 0 });
    expect(redact(needles, text, true)).toEqual({ text: Buffer.from("it was "), droppedBytes: 5 });
  });

  it("the redaction of a text keeps a secret redacted that stands right before a cut", () => {
    const needles = compileNeedles(["abcabc1", "c1abcabX"]);
    const result = redact(needles, [Buffer.from("-abcabc1ab")], true);
    expect(result.text.toString()).toBe("-[REDACTED]");
    expect(result.droppedBytes).toBe(2);
  });

  it("the redaction of a text sends at once text that no secret begins with", () => {
    const redactor = new TextRedactor(compileNeedles(["secret-value"]));
    expect(Buffer.concat(redactor.push(Buffer.from("plain text")))).toEqual(Buffer.from("plain text"));
    expect(redactor.push(Buffer.from("secret-"))).toEqual([]);
    expect(Buffer.concat(redactor.push(Buffer.from("s!")))).toEqual(Buffer.from("secret-s!"));
  });

  it("the redaction of a text finds a thousand long secrets of any bytes, also those deeper than the table", () => {
    const values = Array.from(
      { length: 1_000 },
      (_, index) => `${"長い".repeat(20)}${index}-${"x".repeat(60)}-end${index}`,
    );
    const needles = compileNeedles(values);
    expect(needles.automaton.reach.length).toBeGreaterThan(needles.automaton.rows);
    const text = values.map((value, index) => `${index}:${value}`).join("\n");
    const { text: output } = redact(needles, [Buffer.from(text)]);
    expect(output.toString()).toBe(values.map((value, index) => `${index}:${markerFor(value)}`).join("\n"));
  });

  it("the redaction of a text tells all 256 byte values apart", () => {
    const values = Array.from({ length: 64 }, (_, i) =>
      String.fromCodePoint(...Array.from({ length: 40 }, (_, j) => 1 + i * 1_000 + j * 17)),
    );
    const needles = compileNeedles(values.map((value) => value.toWellFormed()));
    const text = Buffer.from(values.map((value) => value.toWellFormed()).join("|"));
    expect(redact(needles, bytewise(text)).text).toEqual(naivelyRedacted(text, needles.needles));
  });

  it("the redaction of a text counts replacements by the secret's name, however the text is cut", () => {
    const needles = compileNeedles(["first-value", "second-value"], ["ONE", "TWO"]);
    const text = Buffer.from(
      `first-value second-value ${Buffer.from("second-value").toString("hex")} first-val`,
    );
    for (const size of [1, 3, text.length]) {
      const counts = new RedactionCounts();
      const redactor = new TextRedactor(needles, counts);
      for (let at = 0; at < text.length; at += size) redactor.push(text.subarray(at, at + size));
      redactor.end(false);
      expect(counts.toMessages()).toEqual([
        { secret: "ONE", count: 1 },
        { secret: "TWO", count: 2 },
      ]);
    }
  });
});

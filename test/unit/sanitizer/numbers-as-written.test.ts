import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileNeedles } from "#common/redaction/needles/needle-set.ts";
import { TextRedactor } from "#common/redaction/text-redactor.ts";
import { PROPERTY_TIMEOUT_MS, propertyRuns } from "../../support/property-runs.ts";

function redact(text: string, ...secrets: string[]): string {
  const redactor = new TextRedactor(compileNeedles(secrets));
  const pieces = [...redactor.push(Buffer.from(text)), ...redactor.end(false).pieces];
  return Buffer.concat(pieces.map((piece) => Buffer.from(piece))).toString();
}

const digits = (min: number, max: number) =>
  fc.array(fc.constantFrom(..."0123456789"), { minLength: min, maxLength: max }).map((all) => all.join(""));
const sign = fc.constantFrom("", "-", "+");
const number = fc
  .oneof(
    fc.tuple(digits(1, 8), fc.nat(60)).map(([whole, power]) => `${whole}e${power}`),
    fc
      .tuple(digits(1, 8), digits(0, 8), fc.integer({ min: -60, max: 60 }))
      .map(([a, b, power]) => `${a}.${b}E${power}`),
    digits(3, 20).map((fraction) => `0.${fraction}`),
    fc.tuple(digits(1, 5), digits(1, 12)).map(([whole, fraction]) => `${whole}.${fraction}`),
    digits(6, 30),
    digits(60, 700),
  )
  // The secrets service refuses shorter values; a number with fewer digits that count is warned of.
  .filter((value) => value.length >= 6 && value.replace(/[eE].*/, "").replace(/[^1-9]/g, "").length >= 4);

describe("a secret that is a number, or looks like one", () => {
  it(
    "a secret that is or looks like a number is not in the output in any spelling, whatever stands around it",
    () => {
      const around = fc.constantFrom(
        ["", ""],
        ["value: ", "\n"],
        ['{"a": "', '"}'],
        ["(", ", 1)"],
        ["x=", " "],
        ["account.", "\n"],
      );
      fc.assert(
        fc.property(sign, number, around, (before, written, [prefix = "", suffix = ""]) => {
          const value = before + written;
          expect(redact(prefix + value + suffix, value)).not.toContain(written);
        }),
        propertyRuns(3_000),
      );
    },
    PROPERTY_TIMEOUT_MS,
  );

  it.each([
    ["80126e24", "token 80126e24"],
    ["12345e10", "id12345e10x"],
    ["0.123456", "ratio .1234560"],
    ["0.00012345678", "1.2345678e-05 0.00012345678"],
    ["250000", "report.250000 PIN==3D250000 a=0A250000"],
  ])("the number %s is found in %j", (value, text) => {
    expect(redact(text, value)).not.toContain(value.replace(/^0\.0*/, ""));
  });

  it.each([
    ["250000", "total=12250000 rows=99250000 at 0.250000"],
    ["250000", "https://h.example/?amount=20250000"],
    ["0.123456", "10.123456 0.1234567 0.0123456"],
    ["123456", "0.123456"],
  ])("the number %s is not found in %j, where another number stands", (value, text) => {
    expect(redact(text, value)).toBe(text);
  });
});

describe("two secrets that begin alike", () => {
  it.each([
    ["4815162342", "481516"],
    ["481516", "4815162342"],
    ["4815169999", "4815160000"],
  ])("two secrets that begin alike are both found: %s and %s", (first, second) => {
    const exponent = Number(second).toExponential();
    const text = redact(`${first} ${second} {"a": ${second}} ${exponent}`, first, second);
    for (const value of [first, second, exponent]) expect(text.split(/[ ,{}"]+/)).not.toContain(value);
  });

  it("two secrets that begin alike show no more than 12 characters of a piece of either", () => {
    const [first, second] = [
      "WY+aJMc9NzrbMgrqoxrXGop5rS7lnQRuiHtTUeqc2nI2",
      "WY+aJMc9NzrbMgHIOnBJCgqLDSL+QUGYZH9I7CHB",
    ];
    for (const value of [first, second]) {
      for (let at = 0; at + 17 <= value.length; at++) {
        const piece = value.slice(at, at + 17);
        const shown = redact(`x ${piece}.. y`, first, second);
        for (let from = 0; from + 13 <= piece.length; from++)
          expect(shown).not.toContain(piece.slice(from, from + 13));
      }
    }
  });
});

describe("a long number", () => {
  it.each([
    [
      "of 19 digits",
      "4111111111111111111",
      ["4111111111111111112", "4111111111111111300"],
      ["4111111111111111111", "4.111111111111111e18", "4111111111111111168"],
    ],
    [
      "of 21 digits",
      "314159265358979323846",
      ["314159265358979323845", "314159265358979350000"],
      ["314159265358979323846", "3.141592653589793e+20"],
    ],
    [
      "of 617 digits",
      String(7n ** 730n),
      [String(2n ** 1100n), String(3n ** 700n), String(10n ** 310n + 1n)],
      [String(7n ** 730n)],
    ],
  ])(
    "the long number %s is found as programs print it, and its neighbours are not",
    (_length, secret, others, same) => {
      for (const other of others) expect(redact(`n=${other}`, secret)).toBe(`n=${other}`);
      for (const written of same) expect(redact(`n=${written}`, secret)).toBe("n=[REDACTED]");
    },
  );

  it.each([
    "48\u2019151\u2019623\u2019421\u2019088",
    "48\u2009151\u2009623\u2009421\u2009088",
    "4,81,51,62,34,21,088",
    "48 1516 2342 1088",
  ])("a long number is found in groups of digits: %s", (written) =>
    expect(redact(`n=${written};`, "48151623421088")).toBe("n=[REDACTED];"),
  );
});

describe.each(["48151623421088", "swordfish"])(
  "%s, behind an escape or a control sequence of a terminal",
  (value) => {
    it.each([
      ...[
        "\\U0001f511",
        "\\303\\251",
        "\\a",
        "\\e",
        "%u00e9",
        "_x000A_",
        "\\n",
        "\\u0022",
        "%22",
        "\u001b[31m",
      ],
      ...[
        "\r\u001b[2K",
        "\u001b[K",
        "\u001b[H",
        "\u001b(B",
        "\\x1b[2K",
        "\\u001b[1;1H",
        "\\033[K",
        "%1B%5B2K",
      ],
    ])("a secret is found behind the escape or control sequence %j", (before) => {
      expect(redact(`x ${before}${value} y`, value)).not.toContain(value);
    });
  },
);

describe("a secret that is a word", () => {
  it("a secret that is a word is found behind real quoted-printable, and not behind letters that only look like it", () => {
    expect(redact("x=ABswordfish y=C3=A9swordfish z=20swordfish", "swordfish")).toBe(
      "x=ABswordfish y=C3=A9[REDACTED] z=20[REDACTED]",
    );
  });
});

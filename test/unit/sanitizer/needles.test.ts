import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { markerFor } from "#common/redaction/markers.ts";
import { needlesOf } from "#common/redaction/needles/needles.ts";
import { isNumber, secretNumber } from "#common/redaction/needles/printed-numbers.ts";
import { stretchesOf } from "#common/redaction/needles/random-looking.ts";
import { partsOf } from "#common/redaction/needles/secret-parts.ts";
import { PROPERTY_TIMEOUT_MS, propertyRuns } from "../../support/property-runs.ts";

function texts(values: string[]): string[] {
  return needlesOf(values).map(({ bytes }) => Buffer.from(bytes).toString());
}

describe("markers", () => {
  it("markers show the last four characters from seventeen characters up", () => {
    expect(markerFor("a234567890123456")).toBe("[REDACTED]");
    expect(markerFor("a2345678901234567")).toBe("[REDACTED...4567]");
  });

  it("markers show no character of a number", () => {
    expect(markerFor("12345678901234567890")).toBe("[REDACTED]");
    expect(markerFor("-1234567890.12345678")).toBe("[REDACTED]");
  });

  it("markers count characters, not bytes or UTF-16 units, and cut no character in two", () => {
    expect(markerFor("日".repeat(16))).toBe("[REDACTED]");
    expect(markerFor("😀".repeat(16))).toBe("[REDACTED]");
    expect(markerFor("😀".repeat(17))).toBe("[REDACTED...😀😀😀😀]");
  });

  it("markers show nothing of an ending that cannot be printed", () => {
    expect(markerFor("line number one\nline number two\n")).toBe("[REDACTED]");
    expect(markerFor("a2345678901234567\u202e")).toBe("[REDACTED]");
  });
});

describe("the needles of a value", () => {
  it("the needles of a value include it, its hexadecimal digits and its Base64 at each alignment", () => {
    expect(texts(["plain-value"])).toEqual(
      expect.arrayContaining([
        "plain-value",
        "706c61696e2d76616c7565",
        "706C61696E2D76616C7565",
        "cGxhaW4tdmFsdW",
        "BsYWluLXZhbHVl",
        "wbGFpbi12YWx1Z",
      ]),
    );
  });

  it(
    "the needles of a value find Base64 of any text that the value is embedded in, in both alphabets",
    () => {
      const value = fc
        .string({ unit: "binary", minLength: 6 })
        .filter((text) => Buffer.byteLength(text) >= 6);
      fc.assert(
        fc.property(value, fc.uint8Array(), fc.uint8Array(), (text, before, after) => {
          const embedded = Buffer.concat([before, Buffer.from(text), after]);
          const needles = texts([text]);
          const isCaught = (encoded: string) => needles.some((needle) => encoded.includes(needle));
          expect(isCaught(embedded.toString("base64"))).toBe(true);
          expect(isCaught(embedded.toString("base64url"))).toBe(true);
        }),
        propertyRuns(500),
      );
    },
    PROPERTY_TIMEOUT_MS,
  );

  it("the needles of a value exist once even if several secrets share them", () => {
    expect(texts(["same-value", "same-value"])).toEqual(texts(["same-value"]));
  });

  it.each([
    ["a key in hexadecimal", "00a1b2c3d4e5f607", "00A1B2C3D4E5F607"],
    ["a UUID", "6f1d2c3b-4a59-4c1e-8b7a-0123456789ab", "6f1d2c3b4a594c1e8b7a0123456789ab"],
    ["Base64", "ab+/cdefghij1234", "ab-_cdefghij1234"],
  ])("the needles of a value include the other ways to write %s", (_what, value, other) => {
    expect(texts([value])).toContain(other);
  });
});

describe("the parts of a value", () => {
  const partTexts = (value: string) => partsOf(value).map(({ text }) => text);

  it.each([
    ["a JSON string", '{"client_id": "abc", "client_secret": "s3cr3t-v4lue"}', "s3cr3t-v4lue"],
    ["a nested JSON string", '{"a": [{"token": "s3cr3t-v4lue"}]}', "s3cr3t-v4lue"],
    ["a password in a URL", "scheme://app:S3cr3t@host/db", "S3cr3t"],
    ["a password in a URL, decoded", "scheme://app:S3cr%40t!@host/db", "S3cr@t!"],
    ["a value without the blanks around it", "  v4lue-of-it  ", "v4lue-of-it"],
    ["a value without its quotes", '"v4lue-of-it"', "v4lue-of-it"],
    ["a value of an .env file", "A=1\nexport API_KEY='v4lue-of-it'\n", "v4lue-of-it"],
    ["a value of YAML", "user: app\npassword: s3cr3t\n", "s3cr3t"],
    ["a connection string's password", "Server=db;User Id=app;Password=S3cr3t;", "S3cr3t"],
    ["a bearer token", "Bearer abc123def456", "abc123def456"],
    [
      "what basic credentials stand for",
      `Basic ${Buffer.from("app:S3cr3t-pw").toString("base64")}`,
      "S3cr3t-pw",
    ],
    ["Base64 without its padding", "c2VjcmV0LXZhbA==", "c2VjcmV0LXZhbA"],
    ["a line", "first line: 1\nthe second line: X9\n", "the second line: X9"],
    ["a signature in a URL", "https://h.example/x?sv=1&sig=abcdef123456", "abcdef123456"],
    ["a block scalar of YAML", "user: app\npassword: |\n  Zx9!kQ2p\n", "Zx9!kQ2p"],
    ["a folded scalar of YAML", "password: >-\n  Zx9!kQ2p\nuser: app\n", "Zx9!kQ2p"],
    ["a list of YAML", "passwords:\n  - Zx9!kQ2p\n  - Yx9!kQ2p\n", "Yx9!kQ2p"],
    ["a Secret of Kubernetes", "kind: Secret\ndata:\n  password: SHVudGVyMmEh\n", "Hunter2a!"],
    ["Base64 under the name of a secret", '{"password":"SHVudGVyMmEh"}', "Hunter2a!"],
    ["Docker's configuration", '{"auths":{"r.example":{"auth":"YjpIdW50ZXIy"}}}', "Hunter2"],
    ["a number under the name of a secret", '{"pin":48151623}', "48151623"],
    ["a large number under such a name", '{"account_secret":48151623421088151623}', "48151623421088151623"],
    ["a value beside such a name", '[{"name":"DB_PASSWORD","value":"Hunter2"}]', "Hunter2"],
    ["an escaped value of properties", "spring.datasource.password=Zx9\\!kQ2p", "Zx9!kQ2p"],
    ["an escaped value of a DSN", "host=db password='Zx9 \\'kQ2p'", "Zx9 'kQ2p"],
    ["an escaped value of XML", "<db><password>Zx9&amp;kQ2p</password></db>", "Zx9&kQ2p"],
  ])("the searched parts of a value include %s", (_what, value, part) => {
    expect(partTexts(value)).toContain(part);
  });

  it("the searched parts of a value include the passwords of a value with hundreds of fields, to the last", () => {
    const lines = Array.from({ length: 600 }, (_, index) => `DB_PASSWORD_${index}=Zx9!kQ${1_000 + index}`);
    expect(partTexts(lines.join("\n"))).toEqual(expect.arrayContaining(["Zx9!kQ1000", "Zx9!kQ1599"]));
  });

  it.each([
    ["words", '{"type": "service_account", "universe": "googleapis"}'],
    ["addresses", '{"token_uri": "https://oauth2.example.com/token"}'],
    ["short lines and lines of one kind", "a: 1\nenabled: true\n-----BEGIN PRIVATE KEY-----\n"],
    ["hosts", '{"universe": "googleapis.com", "endpoint": "core.windows.net"}'],
    [
      "dates, regions and media types",
      '{"start": "2024-01-01", "where": "eu-north-1", "what": "application/json"}',
    ],
    ["settings that no secret is", '{"project_id": "acme-billing-347719", "universe_domain": "x9.example1"}'],
  ])("the searched parts of a value include no %s", (_what, value) => {
    expect(partTexts(value).filter((text) => text !== value.trim())).toEqual([]);
  });
});

describe("the stretches of a long value", () => {
  const stretches = (value: string, isNamed = false) => stretchesOf(value, isNamed).map(({ text }) => text);

  it("the searched stretches of a long value are its random ones", () => {
    expect(stretches("https://host-name-x1.example/T1/B2c3D4e5F6g7H8i9J0k1")).toEqual([
      "/T1/B2c3D4e5F6g7H8i9J0k1",
    ]);
    expect(stretches("a-project-name-service-account-for-reports")).toEqual([]);
    expect(stretches("this is the text of a message")).toEqual([]);
    expect(stretches("short-1A2b3C4d5")).toEqual([]);
  });

  it("the searched stretches of a long value include the lines of a pass phrase", () => {
    expect(stretches("correct horse battery staple\npurple monkey dishwasher")).toEqual([
      "correct horse battery staple",
      "purple monkey dishwasher",
    ]);
    expect(stretches("a horse is in the battery", true)).toEqual(["a horse is in the battery"]);
  });

  it.each(["xK9#mP2$vL5@nQ8!wR3%tY6^zB4&", "abc8Q~aBcD.efgh1234-xyZ_0987", "AB12.CD34.EF56.GH78.IJ90"])(
    "the searched stretches of a long value include the signs of a password: %s",
    (value) => {
      expect(stretches(value)).toEqual([value]);
    },
  );

  it.each([
    "redis-01.prod.eu-west-1.internal:6379",
    "arn:aws:iam::123456789012:role/MyRole",
    "MyCompany-Production-Database-2024!",
    "Server=db.internal;User Id=application2",
    "robot@things-42.example.com",
    "/usr/local/lib/python3.11/Lib2",
  ])("the searched stretches of a long value include no text that other programs write too: %s", (value) => {
    expect(stretches(value)).toEqual([]);
  });

  it("the searched stretches of a value with the name of a secret are all but words", () => {
    expect(stretches("my-project-is-called-airlock-1", true)).toEqual(["my-project-is-called-airlock-1"]);
    expect(stretches("service_account_of_the_project", true)).toEqual([]);
  });

  it("the searched stretches of a long value leave out the header that JSON Web Tokens share", () => {
    const header = Buffer.from('{"alg":"HS256","typ":"JWT"}').toString("base64url");
    expect(stretches(`${header}.eyJzdWIiOiI5OTg4Nzc2NiJ9x.Zm9vYmFyMTIzNDU2Nzg5`)).not.toContain(header);
  });

  it("the searched stretches of a long value have a sample in every thirteen characters", () => {
    const [stretch] = stretchesOf("4c8a9f31b7e2d6058192aa73cc40ffee", false);
    const { text, samples } = stretch ?? { text: "", samples: [] };
    for (let at = 0; at + 13 <= text.length; at++)
      expect(samples.some((sample) => sample >= at && sample + 7 <= at + 13)).toBe(true);
  });
});

describe("a secret that is a number", () => {
  it("a secret that is a number is found by its numeric value", () => {
    const digits = ["8675309", "-12345.50", "001234567", "250000.00", "1.5e7"].map(
      (value) => secretNumber(value)?.digits,
    );
    expect(digits).toEqual(["8675309", "123455", "1234567", "250000", "15000000"]);
  });

  it("a secret that is a number of fewer than six digits is found by its spelling only", () => {
    for (const value of ["000000", "1.00000", "00000042", "1e999999", "12 34 56", "0x1234", "NaN", "0001000"])
      expect(secretNumber(value)).toBeUndefined();
  });

  it("a secret that is a number matches that number however JSON writes it, and no other", () => {
    const number = secretNumber("48151623421088");
    if (!number) throw new Error("The value is a number.");
    for (const text of [
      "48151623421088",
      "-48151623421088.0",
      "4.8151623421088e13",
      "4.815162e+13",
      "481516234210880e-1",
    ])
      expect(isNumber(text, number)).toBe(true);
    for (const text of ["148151623421088", "48151623421089", "4.815162e+14", "4.8e13", "4815162"])
      expect(isNumber(text, number)).toBe(false);
  });
});

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { compileNeedles } from "#common/redaction/needles/needle-set.ts";
import { TextRedactor } from "#common/redaction/text-redactor.ts";
import { base64, STRUCTURED_SECRETS, WRAPPED_SECRETS } from "./samples/structured-secrets.ts";

function redacted(values: readonly string[], text: string, names: readonly string[] = []): string {
  const redactor = new TextRedactor(compileNeedles(values, names));
  const pieces = [...redactor.push(Buffer.from(text)), ...redactor.end(false).pieces];
  return Buffer.concat(pieces).toString();
}

describe("the password in a structured secret", () => {
  it.each(STRUCTURED_SECRETS)(
    "the password in a structured secret is found by itself: %s",
    (_what, value, ...passwords) => {
      for (const password of passwords) {
        expect(redacted([value], `login failed with ${password}.`)).not.toContain(password);
        expect(redacted([value], JSON.stringify({ password }))).not.toContain(password);
      }
    },
  );

  it("the password in a structured secret is found as a whole word only, if it is a word", () => {
    const values = ["redis://:swordfish@cache:6379/0"];
    expect(redacted(values, "swordfish, swordfishes")).toBe("[REDACTED], swordfishes");
  });

  it.each([
    ["a word that is the user, too", "postgres://postgres:postgres@localhost:5432/db", "postgres"],
    ["a host", "host=db.internal port=5432 user=app password=s3cr3T.pw-9x", "db.internal"],
    ["the path of a URL", "https://host:8080/averylongpath?m=a@b.c", "averylongpath"],
    ["the kind of a token", '{"token_type":"bearer","access_token":"s3cr3T.pw-9x"}', "bearer"],
    [
      "a setting",
      "auth: service_account\ntoken_type: bearer\nsecret: enabled\n",
      "bearer service_account enabled",
    ],
    ["the word password", "password: password\n", "password"],
    ["a user", "deployer:open_sesame_now", "deployer"],
  ])("the password in a structured secret is not %s", (_what, value, text) => {
    expect(redacted([value], `the ${text} of it`)).toBe(`the ${text} of it`);
  });
});

describe("the marker of a structured secret", () => {
  it.each([
    ["a connection string", "Server=db.internal;User Id=app;Password=Zx9!kQ2p"],
    ["a pair", "deploy-bot@corp.example:hT7#mW3x"],
    ["JSON", '{"user":"somebody","password":"hT7#mW3x"}'],
    ["a query", "redis://cache.internal/0?password=hT7#mW3x"],
  ])("the marker of a structured secret shows nothing of a short password at its end: %s", (_what, value) => {
    expect(redacted([value], `it is ${value}`)).toBe("it is [REDACTED]");
    expect(redacted([value], `it is ${base64(value)}`)).toMatch(/^it is \[REDACTED\]/);
  });

  it("the marker of a structured secret shows the last four characters of a value that does not end in its password", () => {
    const value = "postgres://app:Zx9!kQ2p@db.internal/application";
    expect(redacted([value], value)).toBe("[REDACTED...tion]");
  });
});

describe("a password with the signs of URLs", () => {
  it.each([
    [
      "postgresql://app:x@Qz7Kw9.LmT4vB@db.internal/app",
      'host name "Qz7Kw9.LmT4vB@db.internal"',
      "Qz7Kw9.LmT4vB",
    ],
    ["redis://:y#Wq8Zn3Rt6Hb@cache:6379/0", "fragment Wq8Zn3Rt6Hb@cache:6379/0", "Wq8Zn3Rt6Hb"],
    ["Zx9kQ2pLm4T/abcQ", "nonnumeric port: 'Zx9kQ2pLm4T'", "Zx9kQ2pLm4T"],
    ["Zx9kQ2pL?m4T/abcQ", "Failed to parse: 'app:Zx9kQ2pL'", "Zx9kQ2pL"],
  ])(
    "a part of a password with the signs of URLs is found in an error that quotes it: %s",
    (value, error, leaves) => {
      expect(redacted([value], error, ["API_PW"])).toBe(error.replace(leaves, "[REDACTED]"));
    },
  );

  it.each([
    ["keys1.example.com:443/v2", "keys1.example.com"],
    ["/etc/private1/Server.key", "private1"],
    ["https://login1.example.com/Oauth2-app", "Oauth2-app login1.example.com"],
  ])("a password with the signs of URLs is not taken for a host or a path: %s", (value, text) => {
    expect(redacted([value], text, ["AUTH_KEY"])).toBe(text);
  });
});

/** Characters in a row of a value that may leave. */
const MAX_SHOWN = 12;

/** Lines of at most so many characters, at blanks where there are any, as `textwrap` makes them. */
function wrapped(text: string, width: number): string[] {
  const lines = text
    .split("\n")
    .flatMap((line) => line.match(new RegExp(`.{1,${width}}(?:\\s|$)|.{${width}}`, "g")) ?? []);
  return lines.map((line) => line.trim());
}

describe("a password or a phrase that is wrapped or cut", () => {
  it.each(WRAPPED_SECRETS)(
    "a password or a phrase that is wrapped or cut shows no more than twelve characters in a row: %s",
    (value, width) => {
      const lines = wrapped(value, width);
      const outputs = [
        lines.join("\n"),
        lines.map((line) => `'${line} '`).join("\n             "),
        value.replaceAll("\n", "\r\n    "),
        value.slice(0, -1),
        value.slice(0, width),
        `${value.slice(0, Math.max(13, width - 1))}…`,
        `invalid literal for int() with base 10: '${value.slice(1, 24)}`,
      ];
      for (const output of outputs) {
        const left = redacted([value], output);
        for (let at = 0; at + MAX_SHOWN < value.length; at++)
          expect(left).not.toContain(value.slice(at, at + MAX_SHOWN + 1));
      }
    },
  );

  it.each(["\n", "\r\n"])(
    "a password or a phrase that is wrapped or cut is found with other line ends than %j",
    (end) => {
      const value = ["correct", "horse", "battery"].join(end);
      expect(redacted([value], "a correct\r\nhorse\r\nbattery b")).toMatch(/^a \[REDACTED[^\]]*\] b$/);
      expect(redacted([value], "a correct\nhorse\nbattery b")).toMatch(/^a \[REDACTED[^\]]*\] b$/);
    },
  );

  it.each([
    ["a sentence", "this is the text of a message", "the text of a message"],
    [
      "a line of a file",
      "Welcome = Hello World Number 1\nGoodbye = Hello World Number 2\n",
      "Hello World Number 3",
    ],
  ])("a text that is no pass phrase is left unchanged: %s", (_what, value, text) => {
    expect(redacted([value], text)).toBe(text);
  });
});

/** Values that docs/security.md names as not searched for, each with a value and a text of it that leaves. */
const NOT_LOOKED_FOR: readonly (readonly [named: string, value: string, text: string])[] = [
  ["a wrapped or cut value of fewer than 16 bytes", "Zx9kQ2pLm4T7abc", "Zx9kQ2pLm4T7ab"],
  ["a wrapped or cut value with letters beyond ASCII", "pässwörd-Zürich-9€-Straße", "pässwörd-Zürich-9€"],
  ["words that are joined by `-` or `_`, cut", "correct-horse-battery-staple", "correct-horse-battery-stapl"],
  ["a sentence that is wrapped", "this is the text of a message", "this is the text of"],
  ["parts of fewer than six characters", "postgres://app:x9#Kq@db.internal/app", "x9#Kq"],
  ["a password that is also the user", "postgres://postgres:postgres@db.internal/app", "postgres"],
  ["under a name that does not call it secret", "host: db\nlogin: swordfish\n", "swordfish"],
];

describe("values that are not searched for", () => {
  const docs = readFileSync(join(import.meta.dirname, "..", "..", "..", "docs", "security.md"), "utf8");

  it.each(NOT_LOOKED_FOR)(
    "a value that is not searched for is named in docs/security.md: %s",
    (named, value, text) => {
      expect(docs.replace(/\s+/g, " ")).toContain(named);
      expect(redacted([value], text)).toBe(text);
    },
  );
});

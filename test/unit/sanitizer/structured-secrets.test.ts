import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { compileNeedles } from "../../../services/common/redaction/needle-set.ts";
import { TextRedactor } from "../../../services/common/redaction/text-redactor.ts";

function redacted(values: readonly string[], text: string, names: readonly string[] = []): string {
  const redactor = new TextRedactor(compileNeedles(values, names));
  const pieces = [...redactor.push(Buffer.from(text)), ...redactor.end(false).pieces];
  return Buffer.concat(pieces).toString();
}

const base64 = (text: string) => Buffer.from(text).toString("base64");

/** Values that programs take apart, each with the passwords in it. */
const PASSWORDS: readonly [what: string, value: string, ...passwords: string[]][] = [
  [
    "words in a URL",
    "postgres://app:correct-horse-battery-staple@db.internal/app",
    "correct-horse-battery-staple",
  ],
  ["a word in a URL", "redis://:swordfish@cache:6379/0", "swordfish"],
  ["a word in JSON", '{"user":"app","password":"Sunshine","pass":"hunter7"}', "Sunshine", "hunter7"],
  ["a word in a file", "DB_PASS=hunter8\nDB_PASSWORD=tiger-lily-moon\n", "hunter8", "tiger-lily-moon"],
  ["a word behind a user", "deploy:open_sesame_now", "open_sesame_now"],
  ["a word with a line end", "swordfish\n", "swordfish"],
  [
    "PostgreSQL's DSN",
    "host=db.internal port=5432 user=app password=s3cr3T.pw-9x dbname=app",
    "s3cr3T.pw-9x",
  ],
  ["JDBC", "jdbc:postgresql://db.internal:5432/app?user=app&password=jdbcPw.77xx", "jdbcPw.77xx"],
  ["ODBC", "Driver={PG};Server=db;UID=app;PWD={odbcPw.99zz}", "odbcPw.99zz"],
  ["a query", "user=app&password=qsPw.2233aa&x=1", "qsPw.2233aa"],
  ["netrc", "machine db.internal login app password netrcPw.88yy", "netrcPw.88yy"],
  ["Base64", base64("admin:S3cr3t-P@ssword-1999"), "admin:S3cr3t-P@ssword-1999", "S3cr3t-P@ssword-1999"],
  ["JSON in Base64", base64('{"auth":"tiger7lily"}'), "tiger7lily"],
  ["hexadecimal digits", Buffer.from("app:hexPw.4477zz").toString("hex"), "hexPw.4477zz"],
  ["a URL with the signs of one", "postgresql://app:Zx9/kQ2p#Lm@db.internal/app", "Zx9/kQ2p#Lm"],
  ["a URL with two @", "postgresql://app:x@Qz7Kw9.LmT4vB@db.internal/app", "x@Qz7Kw9.LmT4vB"],
  ["a value with a comment", 'password = "pw.0Pl4OkMj" # note', "pw.0Pl4OkMj"],
  ["a mapping of YAML", 'user: {token: "tok.9Xk2LmQ7Rt", username: admin}', "tok.9Xk2LmQ7Rt"],
  ["a mapping of JavaScript", "{user: 'app', password: 'pw.5Xc9ZaQw',}", "pw.5Xc9ZaQw"],
  ["a line of a shell", "A=1 B=pw.7Gt5VbNc export C='pw.5Hy3QwEr'", "pw.7Gt5VbNc", "pw.5Hy3QwEr"],
  ["pgpass", "db.internal:5432:app:app:pw.6Tg9BnHy", "pw.6Tg9BnHy"],
  ["Oracle", "app/pw.7Nm1BvCx@db:1521/orcl", "pw.7Nm1BvCx"],
  ["Go's DSN", "app:pw4mysql@tcp(db.internal:3306)/app", "pw4mysql"],
  ["a URL without its scheme", "app:tiger7@db.internal:5432/app", "tiger7"],
  ["JSON in JSON", JSON.stringify('{"password":"tiger7lily"}'), "tiger7lily"],
  ["XML", "<password>pw.8Uj2MkLo</password>", "pw.8Uj2MkLo"],
  [
    "a command",
    "curl -u app:pw.3Rf7VgTb -H 'X-Api-Key: key.2Wd6YhUj' https://x.example/y",
    "pw.3Rf7VgTb",
    "key.2Wd6YhUj",
  ],
];

describe("the password in a structured secret", () => {
  it.each(PASSWORDS)("is found by itself: %s", (_what, value, ...passwords) => {
    for (const password of passwords) {
      expect(redacted([value], `login failed with ${password}.`)).not.toContain(password);
      expect(redacted([value], JSON.stringify({ password }))).not.toContain(password);
    }
  });

  it("is found where it stands alone only if it is a word", () => {
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
  ])("is not %s", (_what, value, text) => {
    expect(redacted([value], `the ${text} of it`)).toBe(`the ${text} of it`);
  });
});

describe("the marker of a structured secret", () => {
  it.each([
    ["a connection string", "Server=db.internal;User Id=app;Password=Zx9!kQ2p"],
    ["a pair", "deploy-bot@corp.example:hT7#mW3x"],
    ["JSON", '{"user":"somebody","password":"hT7#mW3x"}'],
    ["a query", "redis://cache.internal/0?password=hT7#mW3x"],
  ])("shows nothing of a short password at its end: %s", (_what, value) => {
    expect(redacted([value], `it is ${value}`)).toBe("it is [REDACTED]");
    expect(redacted([value], `it is ${base64(value)}`)).toMatch(/^it is \[REDACTED\]/);
  });

  it("shows the last four characters of a value that ends otherwise", () => {
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
  ])("is not quoted from a sign on: %s", (value, error, leaves) => {
    expect(redacted([value], error, ["API_PW"])).toBe(error.replace(leaves, "[REDACTED]"));
  });

  it.each([
    ["keys1.example.com:443/v2", "keys1.example.com"],
    ["/etc/private1/Server.key", "private1"],
    ["https://login1.example.com/Oauth2-app", "Oauth2-app login1.example.com"],
  ])("is not a host or a path: %s", (value, text) => {
    expect(redacted([value], text, ["AUTH_KEY"])).toBe(text);
  });
});

/** Characters in a row of a value that may leave. */
const MAX_SHOWN = 12;

const WRAPPED: readonly (readonly [value: string, width: number])[] = [
  [
    "legal winner thank year wave sausage worth useful legal winner thank yellow pepper orbit canyon velvet",
    50,
  ],
  ["correct horse battery staple\npurple monkey dishwasher\nseven green llamas dancing", 40],
  ["xK9#mP2$vL5@nQ8!wR3%tY6^zB4&", 20],
  ["x7@k(2m#q9&w$e5!r^t8*y)u3%i6+o_p1=a-s4d@f(g#h&j$k!", 26],
  ["aB3dE5gH7jK9mN1pQ3sT", 15],
  [`p@ss_w0rd&"x"<y>'z\\q%1`, 16],
];

/** Lines of at most so many characters, at blanks where there are any, as `textwrap` makes them. */
function wrapped(text: string, width: number): string[] {
  const lines = text
    .split("\n")
    .flatMap((line) => line.match(new RegExp(`.{1,${width}}(?:\\s|$)|.{${width}}`, "g")) ?? []);
  return lines.map((line) => line.trim());
}

describe("a password or a phrase that is wrapped or cut", () => {
  it.each(WRAPPED)("shows no more than twelve characters in a row: %s", (value, width) => {
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
  });

  it.each([
    ["a sentence", "this is the text of a message", "the text of a message"],
    [
      "a line of a file",
      "Welcome = Hello World Number 1\nGoodbye = Hello World Number 2\n",
      "Hello World Number 3",
    ],
  ])("is not %s", (_what, value, text) => {
    expect(redacted([value], text)).toBe(text);
  });
});

/** What docs/security.md names as not looked for, each with a value and a text of it that leaves. */
const NOT_LOOKED_FOR: readonly (readonly [named: string, value: string, text: string])[] = [
  ["a wrapped or cut value of fewer than 16 bytes", "Zx9kQ2pLm4T7abc", "Zx9kQ2pLm4T7ab"],
  ["a wrapped or cut value with letters beyond ASCII", "pässwörd-Zürich-9€-Straße", "pässwörd-Zürich-9€"],
  ["words that are joined by `-` or `_`, cut", "correct-horse-battery-staple", "correct-horse-battery-stapl"],
  ["a sentence that is wrapped", "this is the text of a message", "this is the text of"],
  ["parts of fewer than six characters", "postgres://app:x9#Kq@db.internal/app", "x9#Kq"],
  ["a password that is also the user", "postgres://postgres:postgres@db.internal/app", "postgres"],
  ["under a name that does not call it secret", "host: db\nlogin: swordfish\n", "swordfish"],
];

describe("what is not looked for", () => {
  const docs = readFileSync(join(import.meta.dirname, "..", "..", "..", "docs", "security.md"), "utf8");

  it.each(NOT_LOOKED_FOR)("is named in docs/security.md: %s", (named, value, text) => {
    expect(docs.replace(/\s+/g, " ")).toContain(named);
    expect(redacted([value], text)).toBe(text);
  });
});

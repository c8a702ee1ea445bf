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

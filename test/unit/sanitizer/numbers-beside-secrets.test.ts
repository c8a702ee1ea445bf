import { describe, expect, it } from "vitest";
import { compileNeedles } from "#common/redaction/needles/needle-set.ts";
import { TextRedactor } from "#common/redaction/text-redactor.ts";
import { redactJson } from "../../../services/sanitizer/json/redactor.ts";

function redacted(value: string, text: string): string {
  const redactor = new TextRedactor(compileNeedles([value], ["CONFIG"]));
  return Buffer.concat([...redactor.push(Buffer.from(text)), ...redactor.end(false).pieces]).toString();
}

const YAML = `token: Zk9wQx7LmT2vRb4
limits:
  max_rows: 10000000
  first_day: 20240131
  token_ttl: 8640000
host: 10.20.30.40
replica: "db.internal:5432"
v6: "fe80::1:2:3"
`;
const ENV =
  "AWS_REGION=eu-north-1\nAPI_TOKEN=Zk9wQx7LmT2vRb4\nMAX_AMOUNT=25000000\nVALID_UNTIL=20251231\nPASSWORD_EXPIRES_AT=1767139200\n";
const JSON_TEXT = JSON.stringify({
  token: "Zk9wQx7LmT2vRb4",
  valid: ["20251231", "31/12/2025", "31.12.2025", "20251231T000000Z", "2024-2025"],
  account: "123456789012",
  server: "DB01.corp.local",
});
const ADO = "Server=10.20.30.40,1433;Failover=tcp:x.database.windows.net,1433;Password=Zk9wQx7LmT2vRb4";

describe("settings beside a secret", () => {
  it.each([
    ["YAML", YAML, "10.20.30.40 db.internal:5432 fe80::1:2:3; 10,000,000 rows, 1e7 20240131 8640000"],
    ["an environment", ENV, "25_000_000 25000000.0 20251231 1767139200 eu-north-1"],
    [
      "JSON",
      JSON_TEXT,
      "20251231 31/12/2025 31.12.2025 20251231T000000Z 2024-2025 123456789012 DB01.corp.local",
    ],
    ["ADO", ADO, "10.20.30.40,1433 tcp:x.database.windows.net,1433 x.database.windows.net"],
  ])("settings beside a secret leave unchanged, while the secret is redacted: %s", (_what, value, text) => {
    expect(redacted(value, `${text} Zk9wQx7LmT2vRb4`)).toMatch(/ \[REDACTED\S*$/);
    expect(redacted(value, text)).toBe(text);
  });

  it("settings beside a secret leave a result unchanged", async () => {
    const text =
      '{"rows":[{"day":20240131,"total":10000000},{"day":20251231,"total":25000000.0}],"10000000":1}';
    const edits = await redactJson(
      Buffer.from(text),
      compileNeedles([YAML, ENV], ["CONFIG", "ENVFILE"]),
      () => [],
      new AbortController().signal,
    );
    expect(Buffer.concat([...edits.pieces()]).toString()).toBe(text);
  });

  it.each([
    ["pin: 48151623\nname: x\n", "48151623"],
    ['{"password":48151623421}', "48151623421"],
    ['{"secret":"48151623"}', "48151623"],
    ["DB_PASSWORD=481516\nX=1\n", "481516"],
    ["Server=x;Password=48151623", "48151623"],
    ["https://h.example/?token=4815162342", "4815162342"],
    ["admin:48151623", "48151623"],
  ])("settings beside a secret are told apart from numbers that are secrets: %j", (value, number) => {
    expect(redacted(value, `is ${number}`)).toBe("is [REDACTED]");
  });
});

describe("a number between points", () => {
  it.each([
    "export-#.2024.csv",
    "acct/#.1.json",
    "1.3.6.1.4.1.#.5",
    "GA1.2.#.1700000000",
    "#.0.1",
    "v2.#",
    "#.csv",
    "log.#.1",
    "10.0.#",
    "a/#.2024.01.31/b",
  ])("a secret number between points is found: %s", (text) => {
    expect(redacted("4815162342", text.replace("#", "4815162342"))).toBe(text.replace("#", "[REDACTED]"));
  });

  it.each([
    "4815162342.5",
    "1.4815162342",
    "0.4815162342",
    "14815162342.1.2",
    "4815162342.5e3",
    "4815162342.5 kg",
  ])("a number between points is another number where it is a part of one: %s", (text) => {
    expect(redacted("4815162342", text)).toBe(text);
  });
});

it.each([
  ["123456", "[31, 32, 33, 34, 35, 36]"],
  ["123456", "31,32,33,34,35,36"],
  ["222222", "32\n32\n32\n32\n32\n32\n32"],
  ["abcdef", "97 61 62 63 64 65 66"],
])("a list of small numbers is no secret: %s", (value, text) => {
  expect(redacted(value, text)).toBe(text);
});

it.each([
  ["123456", "is 313233343536"],
  ["48151623421088", "is 34:38:31:35:31:36:32:33:34:32:31:30:38:38"],
  ["abcdefk", "is 61:62:63:64:65:66:6b"],
])("the hexadecimal digits of a secret are a secret: %s", (value, text) => {
  expect(redacted(value, text)).toBe("is [REDACTED]");
});

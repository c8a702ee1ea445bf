import { generateKeyPairSync, randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { compileNeedles } from "#common/redaction/needles/needle-set.ts";
import { TextRedactor } from "#common/redaction/text-redactor.ts";
import { redactJson } from "../../../services/sanitizer/json/redactor.ts";

const PADDED_HEX = `1f8b3c9d7a2e4f60${"0".repeat(32)}5c7e9a1b3d5f7081`;
const PADDED_BASE64 = `mJ8xQw2v${"A".repeat(40)}Zk3nR7tLpB6s`;
const PERIODIC = `e7c1a94f02${"01".repeat(20)}b83d65`;
const COUNTED = "9f4a7c0123456789abcdef0123456789abcdefd81b6e35";

const GOOGLE = JSON.stringify({
  type: "service_account",
  project_id: "acme-prod-481516",
  private_key_id: randomBytes(20).toString("hex"),
  private_key: generateKeyPairSync("rsa", {
    modulusLength: 2_048,
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  }).privateKey,
  client_email: "reports@acme-prod-481516.iam.gserviceaccount.com",
  client_x509_cert_url:
    "https://www.googleapis.com/robot/v1/metadata/x509/reports%40acme-prod-481516.iam.gserviceaccount.com",
  universe_domain: "googleapis.com",
});
const ENV =
  "PROJECT_ID=acme-prod-481516\nBUCKET_URL=gs://acme-prod-481516/raw\nAPI_KEY=Xq7kP2mZ9vL4cR8tBw3n\n";
const YAML =
  "project: acme-prod-481516\nhost: db-7f3k2m9x1q.eu-west-3.rds.example.com\npassword: Xq7kP2mZ9vL4cR8tBw3n\n";

const SETTINGS =
  "DB_PASSWORD=hG7kd9Q!pX\nSTART_MS=1764460800000\nACCOUNT_ID=4929123456789012\nTIMEZONE=Europe/Berlin\nREGION=eu-north-1\n";
const BUCKET = "S3_BUCKET=company-reports-2024\nDB_PASSWORD=hG7kd9Q!pX\n";
const JSON_KEY = JSON.stringify({
  key: "sk9Qz7LmN4xVb2RtY8WpK3",
  expires: "2026-11-30T12:00:00Z",
  token_expires_at: "2026-12-01T12:00:00Z",
  created_ms: 1_700_000_123_456,
  account: "4929123456789012",
  limits: { credit: 5_000_000_000_000 },
}).replace("5000000000000", "36893488147419103232");
const YAML_NUMBERS =
  "account: 4929123456789012\nbatch: 36893488147419103232\nstarted: 2026-11-30T12:00:00Z\npassword: Xq7kP2mZ9vL4cR8tBw3n\n";
const URL_SINCE =
  "https://api.example.com/v1/items?token=Xq7kP2mZ9vL4cR8tBw3n&since=1764460800000&until=20261130T120000Z";

function redacted(values: readonly string[], names: readonly string[], text: string): string {
  const redactor = new TextRedactor(compileNeedles(values, names));
  return Buffer.concat([...redactor.push(Buffer.from(text)), ...redactor.end(false).pieces]).toString();
}

describe.each(["SIGNING_KEY", "GOOGLE", "CONFIG"])("secret name %s", (name) => {
  it.each([
    ["zeros", PADDED_HEX, "total 10000000000000000 25000000000000000 0x00000000000000000000 1230000000000"],
    ["Base64 of zeros", PADDED_BASE64, "AAAAAAAAAAAAAAAAAAAAAA== /AAAAAAAAAAAAAAAA"],
    ["a period", PERIODIC, "mask 0101010101010101 and 1010101010101010"],
    ["digits in their order", COUNTED, "0123456789abcdef and 56789abcdef01234"],
    ["a project in JSON", GOOGLE, "select 1 from `acme-prod-481516.sales.orders`; gs://acme-prod-481516/x"],
    ["an address in JSON", GOOGLE, "https://www.googleapis.com/robot/v1/metadata/x509/"],
    ["a project in an environment", ENV, "bucket gs://acme-prod-481516/x of acme-prod-481516"],
    ["a project in YAML", YAML, "acme-prod-481516 at db-7f3k2m9x1q.eu-west-3.rds.example.com"],
    ["numbers of settings", SETTINGS, "1764460800000 1764460800001 4929123456789012 4929123456789013"],
    ["texts of settings", SETTINGS, "Europe/Berlin REGION=eu-north-2"],
    [
      "times in JSON",
      JSON_KEY,
      "at 2026-11-30T12:15:00 and 2026-12-01T12:15:00, 1700000123456 1700000123457",
    ],
    ["numbers in JSON", JSON_KEY, "4929123456789012 4929123456789013 36893488147419103232 3689348814741910"],
    ["numbers in YAML", YAML_NUMBERS, "4929123456789013 36893488147419103232 since 2026-11-30T12:15:00"],
    ["a number in a URL", URL_SINCE, "since=1764460800000 1764460800001 20261130T120000Z"],
  ])("text that may come from anywhere is no piece of a secret: %s", (_what, value, text) => {
    expect(redacted([value], [name], text)).toBe(text);
  });

  it("numbers in a result that have the digits of a secret's padding stay numbers", async () => {
    const text = '{"cells":10000000000000000,"n":[300000000000000,-25000000000000000,1e16]}';
    const set = compileNeedles([PADDED_HEX, PADDED_BASE64], [name, name]);
    const edits = await redactJson(Buffer.from(text), set, () => [], new AbortController().signal);
    expect(Buffer.concat([...edits.pieces()]).toString()).toBe(text);
  });

  it.each([
    [PADDED_HEX, "1f8b3c9d7a2e4f"],
    [PADDED_HEX, "0005c7e9a1b3d5f"],
    [PADDED_BASE64, "AAZk3nR7tLpB6s"],
    [GOOGLE, GOOGLE.slice(GOOGLE.indexOf("private_key_id") + 20, GOOGLE.indexOf("private_key_id") + 36)],
    [ENV, "Xq7kP2mZ9vL4c"],
    [YAML, "Xq7kP2mZ9vL4c"],
  ])("a random piece of a secret is found beside its common pieces: %#", (value, piece) => {
    expect(redacted([value], [name], `(${piece})`)).toMatch(/^\(.{0,6}\[REDACTED/);
  });
});

it("the text beside a period in a secret is found under the secret's name", () => {
  expect(redacted([PERIODIC], ["SIGNING_KEY"], "(e7c1a94f020101)")).toBe("([REDACTED])");
});

it("a password that equals its project's id is redacted as a secret", () => {
  const value = JSON.stringify({ project_id: "acme-prod-481516", password: "acme-prod-481516" });
  expect(redacted([value], ["CONFIG"], "acme-prod-481516")).toBe("[REDACTED]");
});

it("a name that begins like a setting's value is not redacted", () => {
  expect(redacted([BUCKET], ["DOTENV"], "company-reports-2025 of it")).toBe("company-reports-2025 of it");
});

describe("a piece of a structured secret is found beside its settings", () => {
  it.each([
    [
      "a password in an environment",
      "START_MS=1764460800000\nAPI_KEY=Xq7kP2mZ9vL4cR8tBw3n\n",
      "Xq7kP2mZ9vL4c",
    ],
    ["a value that looks random", "A_MS=1764460800000\nHOOK=Xq7kP2mZ9vL4cR8tBw3n\n", "kP2mZ9vL4cR8t"],
    ["a secret number", "DB_PASSWORD=4929123456789012\nA_MS=1764460800000\n", "4929123456789012"],
    ["a recovery code", '{"codes":["4929123456789012","1764460800000123"]}', "1764460800000123"],
    ["a number under a key", '{"key":"4929123456789012"}', "4929123456789012"],
    ["a number under a key in an environment", "KEY=4929123456789012\nA=b\n", "4929123456789012"],
    ["a random value of a setting", "A_MS=1\nSTAGE=Xq7kP2mZ9vL4cR8tBw3n\n", "kP2mZ9vL4cR8t"],
    ["a key in a URL", URL_SINCE, "kP2mZ9vL4cR8t"],
    ["a password with an equals sign", "hG7kd9Q=Xq7kP2mZ9vL4", "d9Q=Xq7kP2mZ9"],
  ])("%s", (_what, value, piece) => {
    expect(redacted([value], ["SIGNING_KEY"], `it is ${piece}.`)).not.toContain(piece);
  });
});

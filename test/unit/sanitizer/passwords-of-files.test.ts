import { expect, it } from "vitest";
import { compileNeedles } from "#common/redaction/needles/needle-set.ts";
import { partsOf } from "#common/redaction/needles/secret-parts.ts";
import { TextRedactor } from "#common/redaction/text-redactor.ts";
import { measureStretches } from "../../support/stretches.ts";

const HADOOP = "<property><name>fs.s3a.secret.key</name>\n  <value>bK3mQ7rT2w</value></property>";
const TERRAFORM =
  '{"db_password":{"sensitive":true,"type":"string","value":"hG7kd9Q"},"admin_password":{"value":"Sunshine"}}';

it.each([
  ["Terraform", TERRAFORM, "hG7kd9Q"],
  ["Terraform, a word", TERRAFORM, "Sunshine"],
  ["Hadoop", HADOOP, "bK3mQ7rT2w"],
  ["a property list", "<dict><key>password</key>\n<string>cW5nP8s</string></dict>", "cW5nP8s"],
  ["ASP.NET", '<add key="DbPassword" value="cW5n&amp;P8s" />', "cW5n&P8s"],
  ["ODBC", "Driver={x};Server=h;UID=a;PWD={eZ7}}qS2vA}", "eZ7}qS2vA"],
  ["ADO", 'Server=x;Password="hG7""kd9Q"', 'hG7"kd9Q'],
  ["ADO, single quotes", "Server=x;Password='hG7''kd9Q';Timeout=3", "hG7'kd9Q"],
  ["the first URL", "redis://:fA8kT3w9@h1:6379,redis://:gB9mU4x1@h2:6379", "fA8kT3w9"],
  ["the second URL", "redis://:fA8kT3w9@h1:6379,redis://:gB9mU4x1@h2:6379", "gB9mU4x1"],
  ["Java's properties", "db.user bob\ndb.password hC1nV5y\n", "hC1nV5y"],
  ["GnuPG", "pinentry-mode loopback\npassphrase hG7kd9Q\n", "hG7kd9Q"],
  ["TOML", 'user = "bob"\npassword = """hG7kd9Q"""\n', "hG7kd9Q"],
  ["CSV", "user,password\nbob,hG7kd9Q\nann,kP2mZ9v\n", "kP2mZ9v"],
  ["sshpass", "sshpass -p hG7kd9Q ssh bob@h", "hG7kd9Q"],
  ["mysql", "mysql -u bob -phG7kd9Q db", "hG7kd9Q"],
  ["redis-cli", "redis-cli -h h -a hG7kd9Q ping", "hG7kd9Q"],
])("the password that ordinary code takes out of %s is found", (_what, value, password) => {
  const redactor = new TextRedactor(compileNeedles([value], ["CONFIG"]));
  const pieces = [...redactor.push(Buffer.from(`is ${password} here`)), ...redactor.end(false).pieces];
  expect(Buffer.concat(pieces).toString()).toMatch(/^is \[REDACTED\S*\] here$/);
});

it.each([
  "token bucket algorithm",
  "the secret garden\npassword required\nsecret sauce.",
  "name,amount\nbob,2500000",
])("sentences and tables have no passwords: %j", (value) => {
  const words = partsOf(value).filter(({ isNamedSecret }) => isNamedSecret);
  expect(words).toEqual([]);
});

it.each([
  ["blanks", " ".repeat(60_000)],
  ["a command without its option", `mysql ${"a ".repeat(30_000)}`],
  ["quotes", `x="${'""'.repeat(30_000)}`],
  ["braces", `x={${"}}".repeat(30_000)}`],
  ["names", "<name>".repeat(10_000)],
  ["names and equals", "a=".repeat(8_000)],
  ["attributes", 'key="a" '.repeat(8_000)],
])("the parts of a secret file are found in little time: %s", async (_what, value) => {
  expect((await measureStretches(async () => partsOf(value))).totalMs).toBeLessThan(500);
});

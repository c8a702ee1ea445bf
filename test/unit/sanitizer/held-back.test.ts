import { expect, it } from "vitest";
import { compileNeedles } from "#common/redaction/needles/needle-set.ts";
import { TextRedactor } from "#common/redaction/text-redactor.ts";

const SECRET = "Aq8zLm2XwE9rTy5uIo1pSd7f";
const NUMBER = "48151623421088";
const HEX = Buffer.from(SECRET).toString("hex");
const BASE64 = Buffer.from(SECRET).toString("base64");

/** More than all that a secret may be written with. */
const MAX_HELD_BYTES = 8 * 1024;

it.each([
  ["blanks in hexadecimal digits", HEX.slice(0, 24), " "],
  ["blanks behind the first two", HEX.slice(0, 2), " "],
  ["line ends in Base64", BASE64.slice(0, 16), "\n"],
  ["blanks in a number", NUMBER.slice(0, 8), " "],
  ["colours", SECRET.slice(0, 12), "\x1b[0m"],
  ["soft line breaks", SECRET.slice(0, 12), "=\n"],
  ["escaped blanks", HEX.slice(0, 24), "%20"],
  ["colours and blanks in turns", HEX.slice(0, 24), " \x1b[0m"],
])("a possible beginning of a secret is not held back without end: %s", (_what, beginning, filling) => {
  const redactor = new TextRedactor(compileNeedles([SECRET, NUMBER]));
  const text = Buffer.from(beginning + filling.repeat(100_000));
  let left = 0;
  for (let at = 0; at < text.length; at += 65_536)
    for (const piece of redactor.push(text.subarray(at, at + 65_536))) left += piece.length;
  expect(text.length - left).toBeLessThan(MAX_HELD_BYTES);
});

it.each([
  ["hexadecimal digits in an indented block", HEX.replace(/(.{8})/g, `$1\n${" ".repeat(100)}`)],
  ["Base64 in an indented block", BASE64.replace(/(.{8})/g, `$1\r\n${" ".repeat(100)}`)],
  [
    "a coloured text",
    `${SECRET.slice(0, 9)}\x1b[0m\x1b[1m\x1b[38;2;255;100;100m\x1b[48;5;12m${SECRET.slice(9)}`,
  ],
])("a secret is found with the characters that programs write between its own: %s", (_what, text) => {
  const redactor = new TextRedactor(compileNeedles([SECRET]));
  const pieces = [...redactor.push(Buffer.from(`is ${text} here`)), ...redactor.end(false).pieces];
  expect(Buffer.concat(pieces).toString()).toMatch(/^is \[REDACTED\S*\]\s* here$/);
});

import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { compileNeedles } from "#common/redaction/needles/needle-set.ts";
import { TextRedactor } from "#common/redaction/text-redactor.ts";

function redacted(name: string, value: string, text: string): string {
  const redactor = new TextRedactor(compileNeedles([value], [name]));
  return Buffer.concat([...redactor.push(Buffer.from(text)), ...redactor.end(false).pieces]).toString();
}

/** Random text of `length` characters of `alphabet`, the same in every run of the test. */
function randomText(alphabet: string, length: number, number: number): string {
  const bytes = createHash("shake256", { outputLength: length * 2 })
    .update(`${alphabet} ${length} ${number}`)
    .digest();
  return Array.from({ length }, (_, at) => alphabet[bytes.readUInt16LE(at * 2) % alphabet.length]).join("");
}

const SMALL = "abcdefghijklmnopqrstuvwxyz";
const LETTERS = SMALL + SMALL.toUpperCase();
const DIGITS = "0123456789";
const SIGNS = "!#$%&()*+,-./:;<=>?@[]^_{|}~";
const SAMPLES = 200;

describe("a random password that was cut at its end", () => {
  it.each([
    ["SMTP_PASSWORD", "qwkzvbnrtplmxcjd"],
    ["SMTP", "qwkzvbnrtplmxcjd"],
    ["DB_PASSWORD", "<k7#Qm!x2$Vb9-Lp4^Tz8&Rw3*"],
    ["ROOT_PASSWORD", "k9!mW2$x,Qrt=9kL!mN2-pW5^zY8"],
    ["ROOT_PASSWORD", "/k9!mW2$x+Qrt9kL!mN2-pW5^zY8"],
    ["STRIPE", "7hulvpq3wrhddlzcpqz8"],
  ])("the cut value of %s, such as %s, shows no more than twelve characters", (name, value) => {
    expect(redacted(name, value, `${value.slice(0, -1)}…`)).toMatch(/^.{0,12}\[REDACTED.*…$/);
  });

  // The share of values that may stay: those that look like words, numbers or documents by chance.
  it.each([
    ["DB_PASSWORD", "small letters", SMALL, 16, 0.01],
    ["DB_PASSWORD", "letters", LETTERS, 16, 0.01],
    ["DB_PASSWORD", "letters and digits", LETTERS + DIGITS, 16, 0.01],
    ["DB_PASSWORD", "all signs", LETTERS + DIGITS + SIGNS, 20, 0.03],
    ["STRIPE", "small letters and digits", SMALL + DIGITS, 16, 0.03],
    ["STRIPE", "small letters and digits", SMALL + DIGITS, 24, 0.03],
    ["STRIPE", "small letters", SMALL, 20, 0.03],
    ["STRIPE", "letters and digits", LETTERS + DIGITS, 20, 0.03],
  ])(
    "of random values under %s of %s hardly one stays whole when it is cut",
    (name, _of, alphabet, length, share) => {
      const values = Array.from({ length: SAMPLES }, (_, number) => randomText(alphabet, length, number));
      const left = values.filter(
        (value) => !redacted(name, value, ` ${value.slice(0, -1)} …`).includes("[REDACTED"),
      );
      expect(left.length / SAMPLES, left.slice(0, 10).join("  ")).toBeLessThanOrEqual(share);
    },
  );
});

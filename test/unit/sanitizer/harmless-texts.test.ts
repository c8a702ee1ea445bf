import { describe, expect, it } from "vitest";
import { compileNeedles } from "#common/redaction/needles/needle-set.ts";
import { TextRedactor } from "#common/redaction/text-redactor.ts";
import { redactJson } from "../../../services/sanitizer/json/redactor.ts";
import { HarmlessTexts } from "./samples/harmless-texts.ts";
import { SPELLED_SECRETS } from "./samples/spelled-secrets.ts";
import { STRUCTURED_SECRETS, WRAPPED_SECRETS } from "./samples/structured-secrets.ts";

const TEXTS = 100_000;
/** One in so many is also looked at as a string, a key and, where it is one, as a document of JSON. */
const IN_JSON = 25;
const SEED = 20_261_130;

const never = new AbortController().signal;
const values = [
  ...SPELLED_SECRETS.map(({ value }) => value),
  ...STRUCTURED_SECRETS.map(([, value]) => value),
  ...WRAPPED_SECRETS.map(([value]) => value).filter((value) => !value.startsWith("correct horse")),
  "postgres",
  "Sommer",
  "8675309",
  "-12345.678901",
];
const numbers = ["48151623421088", "314159265358979323846", "0073529461", "8675309", "12345678901"];

function redacted(text: Buffer, chunkBytes: number): Buffer {
  const redactor = new TextRedactor(set);
  const pieces: Buffer[] = [];
  for (let at = 0; at < text.length; at += chunkBytes) {
    pieces.push(...redactor.push(text.subarray(at, at + chunkBytes)).map((piece) => Buffer.from(piece)));
  }
  return Buffer.concat([...pieces, ...redactor.end(false).pieces]);
}

// Every other one has a secret's name, so that more is looked for of it.
const set = compileNeedles(
  values,
  values.map((_, index) => (index % 2 === 0 ? `API_KEY_${index}` : `VALUE_${index}`)),
);

describe("harmless output", () => {
  it(`harmless output stays as it is: ${TEXTS} texts and numbers beside ${values.length} secrets of all kinds`, {
    timeout: 120_000,
  }, async () => {
    const texts = new HarmlessTexts(SEED, numbers);
    const changed: [text: string, output: string][] = [];
    const inJson: string[] = [];
    for (let count = 0; count < TEXTS; count++) {
      const text = texts.next();
      const bytes = Buffer.from(text);
      const output = redacted(bytes, count % 2 === 0 ? bytes.length : 5);
      if (!output.equals(bytes)) changed.push([text, output.toString()]);
      if (count % IN_JSON === 0) inJson.push(text);
    }
    for (const text of inJson) {
      const document = JSON.stringify({ [text]: [text, 1] });
      const edits = await redactJson(Buffer.from(document), set, () => [], never);
      const output = Buffer.concat([...edits.pieces()]).toString();
      if (output !== document) changed.push([document, output]);
    }
    expect(changed.length, JSON.stringify(changed.slice(0, 5))).toBe(0);
  });

  it("harmless output stays as it is in one stream, where each text stands between others", {
    timeout: 60_000,
  }, () => {
    const texts = new HarmlessTexts(SEED + 1, numbers);
    const stream = Buffer.from(Array.from({ length: TEXTS / 10 }, () => texts.next()).join("\n"));
    expect(redacted(stream, 4_096).equals(stream)).toBe(true);
  });

  it("harmless output is told apart from the secrets themselves", () => {
    for (const value of values)
      expect(redacted(Buffer.from(value), 7).toString(), value).toContain("[REDACTED");
  });
});

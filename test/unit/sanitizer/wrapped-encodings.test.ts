import { describe, expect, it } from "vitest";
import { compileNeedles } from "#common/redaction/needles/needle-set.ts";
import { TextRedactor } from "#common/redaction/text-redactor.ts";

const SECRET = "sk9vQ2mZ7xLr4TnB8wYc3HdK6pJf1GsA";
const needles = compileNeedles([SECRET], ["API_KEY"]);

const BASE64_OF_HEX = (bytes: Buffer) => Buffer.from(bytes.toString("hex")).toString("base64");
const BASE64_TWICE = (bytes: Buffer) => Buffer.from(bytes.toString("base64")).toString("base64");

const ENCODINGS: [string, (bytes: Buffer) => string][] = [
  ["Base64", (bytes) => bytes.toString("base64")],
  ["Base64 for URLs", (bytes) => bytes.toString("base64url")],
  ["Base64 of UTF-16", (bytes) => Buffer.from(bytes.toString(), "utf16le").toString("base64")],
  ["Base64 of hexadecimal digits", BASE64_OF_HEX],
  ["Base64 of Base64", BASE64_TWICE],
  ["hexadecimal digits", (bytes) => bytes.toString("hex")],
  ["hexadecimal digits in capitals", (bytes) => bytes.toString("hex").toUpperCase()],
];
// Widths of mail (76), PEM (64), uneven ones of terminals.
const WIDTHS = [76, 64, 60, 75, 4, 5, 8];
const SEPARATORS = ["\n", "\r\n", "\\n", "\n    "];
const MOST_BEFORE = 80;

function redacted(text: string): string {
  const redactor = new TextRedactor(needles);
  return Buffer.concat([...redactor.push(Buffer.from(text)), ...redactor.end(false).pieces]).toString();
}

function cutOff(text: string): { text: string; droppedBytes: number } {
  const redactor = new TextRedactor(needles);
  const before = redactor.push(Buffer.from(text));
  const { pieces, droppedBytes } = redactor.end(true);
  return { text: Buffer.concat([...before, ...pieces]).toString(), droppedBytes };
}

function wrapped(text: string, width: number, separator: string): string {
  return (text.match(new RegExp(`.{1,${width}}`, "g")) ?? []).join(separator);
}

describe("an encoded secret in lines", () => {
  it.each(ENCODINGS)("a secret in %s is redacted wherever a line ends in it", (_name, encode) => {
    const missed: string[] = [];
    for (let before = 0; before < MOST_BEFORE; before++) {
      for (const lead of ["", "k"]) {
        const text = lead + encode(Buffer.from(`${"x".repeat(before)}${SECRET} is the key`));
        for (const width of WIDTHS) {
          for (const separator of SEPARATORS) {
            const isFound = redacted(wrapped(text, width, separator)).includes("[REDACTED");
            if (!isFound)
              missed.push(`${lead}${before} bytes before, width ${width}, ${JSON.stringify(separator)}`);
          }
        }
      }
    }
    expect(missed).toEqual([]);
  });

  it("the last line of a killed script stays whole, although a secret in Base64 may begin with its end", () => {
    const base64 = Buffer.from(SECRET).toString("base64");
    for (const end of ["\n", "\r\n"]) {
      for (let length = 0; length <= 3; length++) {
        const text = `up ${base64.slice(0, length)}${end}`;
        expect(cutOff(text)).toEqual({ text, droppedBytes: 0 });
      }
      const more = `up ${base64.slice(0, 4)}${end}`;
      expect(cutOff(more)).toEqual({ text: "up ", droppedBytes: more.length - 3 });
    }
  });
});

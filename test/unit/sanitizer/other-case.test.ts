import { expect, it } from "vitest";
import { compileNeedles } from "#common/redaction/needles/needle-set.ts";
import { TextRedactor } from "#common/redaction/text-redactor.ts";

const KEY = "sk9vQ2mZ7xLr4TnB8wYc3HdK6pJf1GsA";

function redacted(value: string, text: string): string {
  const redactor = new TextRedactor(compileNeedles([value], ["API_KEY"]));
  return Buffer.concat([...redactor.push(Buffer.from(text)), ...redactor.end(false).pieces]).toString();
}

it.each([
  ["a host", KEY, `host='${new URL(`https://${KEY}.api.example.com/v1`).hostname}', port=443`],
  ["a header", KEY, [...new Headers({ [KEY]: "1" }).keys()].join()],
  ["a column that PostgreSQL does not know", KEY, `column "${KEY.toLowerCase()}" does not exist`],
  ["a column that Oracle does not know", KEY, `"${KEY.toUpperCase()}": invalid identifier`],
  ["the password in a URL", `redis://:${KEY}@cache:6379/0`, `${KEY.toLowerCase()}.example.com`],
  ["a password with signs", "Zx9!kQ2pLm4T", "ZX9!KQ2PLM4T"],
  ["letters beyond ASCII", "Pässwörd-Zürich-9€", "PÄSSWÖRD-ZÜRICH-9€"],
])("a secret is found in small letters and in capitals: %s", (_what, value, text) => {
  const output = redacted(value, text);
  expect(output).toContain("[REDACTED");
  for (const secret of [KEY, "Zx9!kQ2pLm4T", "Pässwörd-Zürich-9€"])
    for (const form of [secret.toLowerCase(), secret.toUpperCase()]) expect(output).not.toContain(form);
});

it.each([
  ["a word", "Sunshine", "sunshine SUNSHINE"],
  ["a name with a year", "Reports-2024", "reports-2024 REPORTS-2024"],
  ["a short value", "Zx9kQ2p", "zx9kq2p"],
])(
  "a text that may come from anywhere is not taken for a secret in another case: %s",
  (_what, value, text) => {
    expect(redacted(value, text)).toBe(text);
  },
);

import { expect, it } from "vitest";
import { compileNeedles } from "#common/redaction/needles/needle-set.ts";
import { TextRedactor } from "#common/redaction/text-redactor.ts";

// The cookies of Python's library write characters below U+0100 so; the repr of bytes and C write the bytes of UTF-8.
it.each([
  ["characters", String.raw`Gr\374\337e-Z\374rich-9-Stra\337e`],
  ["bytes", String.raw`Gr\303\274\303\237e-Z\303\274rich-9-Stra\303\237e`],
  ["characters, escaped once more", String.raw`Gr\\374\\337e-Z\\374rich-9-Stra\\337e`],
])("octal escapes are read as %s", (_what, written) => {
  const redactor = new TextRedactor(compileNeedles(["Grüße-Zürich-9-Straße"]));
  const pieces = [...redactor.push(Buffer.from(`sid="${written}";`)), ...redactor.end(false).pieces];
  const text = Buffer.concat(pieces).toString();
  expect(text).toMatch(/^sid="\[REDACTED.*\]";$/);
  expect(text).not.toContain("rich");
});

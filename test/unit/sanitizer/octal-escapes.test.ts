import { expect, it } from "vitest";
import { compileNeedles } from "#common/redaction/needles/needle-set.ts";
import { TextRedactor } from "#common/redaction/text-redactor.ts";

// The cookies of Python's library write characters below U+0100 so; the repr of bytes and C write the bytes of UTF-8.
it.each([
  ["characters", String.raw`Gr\374\337e-Z\374rich-9-Stra\337e`],
  ["bytes", String.raw`Gr\303\274\303\237e-Z\303\274rich-9-Stra\303\237e`],
  ["characters, escaped once more", String.raw`Gr\\374\\337e-Z\\374rich-9-Stra\\337e`],
])("octal escapes in output are read as %s", (_what, written) => {
  const redactor = new TextRedactor(compileNeedles(["Grüße-Zürich-9-Straße"]));
  const pieces = [...redactor.push(Buffer.from(`sid="${written}";`)), ...redactor.end(false).pieces];
  const text = Buffer.concat(pieces).toString();
  expect(text).toMatch(/^sid="\[REDACTED.*\]";$/);
  expect(text).not.toContain("rich");
});

// `re.escape`, and files of CSV that have no quotes.
it.each(["Qw8\tzRt5#Kp9x", "line1Kz9!q\nline2Qw8#r", "Wv7 k\rPq5#x!2"])(
  "a backslash before a blank or a line end is read as that character: %j",
  (secret) => {
    for (const written of [secret.replace(/\W/g, "\\$&"), JSON.stringify(secret.replace(/\W/g, "\\$&"))]) {
      const redactor = new TextRedactor(compileNeedles([secret]));
      const pieces = [...redactor.push(Buffer.from(`(${written})`)), ...redactor.end(false).pieces];
      expect(Buffer.concat(pieces).toString()).toMatch(/^\("?\[REDACTED[\s\S]{0,9}\]"?\)$/);
    }
  },
);

it("a secret's hexadecimal digits of UTF-16 are found", () => {
  const redactor = new TextRedactor(compileNeedles(["Xq7kP2mZ9vL4"]));
  const hex = Buffer.from("Xq7kP2mZ9vL4", "utf16le").toString("hex");
  const pieces = [
    ...redactor.push(Buffer.from(`0x${hex.toUpperCase()} ${hex}`)),
    ...redactor.end(false).pieces,
  ];
  expect(Buffer.concat(pieces).toString()).toMatch(/^0x\[REDACTED\] \[REDACTED\]$/);
});

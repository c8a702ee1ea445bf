import fc from "fast-check";
import { expect, it } from "vitest";
import { compileValues, withReplacements } from "#common/redaction/needles/needle-set.ts";
import { TextRedactor } from "#common/redaction/text-redactor.ts";
import { PROPERTY_TIMEOUT_MS, propertyRuns } from "../../support/property-runs.ts";

/** Characters of a value that a text must lack, so that none of its encodings holds nearly all of it. */
const MISSING = 3;

const digits = fc.string({ unit: fc.constantFrom(..."0123456789"), minLength: 16, maxLength: 24 });
const token = fc.string({ unit: fc.constantFrom(..."abcXYZ019+/_-."), minLength: 16, maxLength: 40 });
const value = fc.oneof(
  digits,
  digits.map((text) => `-${text}.5`),
  token,
  token.map((text) => Buffer.from(`admin:${text}`).toString("base64")),
  token.map((text) => Buffer.from(text).toString("hex")),
  token.map((text) => `postgres://app:${text}@db.internal/app`),
  token.map((text) => `{"client_id":"airlock","client_secret":"${text}"}`),
  fc.constant("legal winner thank year wave sausage worth useful"),
);

/** The spellings in which a server may return a text. */
const WRITERS: readonly ((text: string) => string)[] = [
  (text) => text,
  (text) => JSON.stringify(text),
  (text) => encodeURIComponent(text),
  (text) => Buffer.from(text).toString("hex"),
  (text) => Buffer.from(text).toString("base64"),
  (text) => Buffer.from(text, "base64").toString("latin1"),
  (text) => String(Number(text)),
  (text) => Number(text).toExponential(6),
  (text) => text.replace(/\B(?=(?:\d{3})+$)/g, ","),
];

it(
  "a text that lacks three characters of a brokered value leaves unchanged, however it is written",
  () => {
    fc.assert(
      fc.property(value, fc.nat(), fc.constantFrom(...WRITERS), (secret, place, write) => {
        // The padding of Base64 says nothing of the value.
        const at = place % (secret.replace(/=+$/, "").length - MISSING + 1);
        const text = write(secret.slice(0, at) + secret.slice(at + MISSING));
        // A value that repeats itself may be whole in what is left of it.
        if (text.includes(secret)) return;
        const redactor = new TextRedactor(withReplacements(compileValues([secret]), ["PLACEHOLDER"]));
        const pieces = [...redactor.push(Buffer.from(text)), ...redactor.end(false).pieces];
        expect(Buffer.concat(pieces).toString()).toBe(text);
      }),
      propertyRuns(1_000),
    );
  },
  PROPERTY_TIMEOUT_MS,
);

it(
  "a brokered number is found with all of its own digits only, never rounded",
  () => {
    fc.assert(
      fc.property(
        digits.filter((text) => /[1-9]/.test(text)),
        fc.integer({ min: 5, max: 17 }),
        (secret, count) => {
          const rounded = `${Number(secret).toExponential(count)} ${Number(secret)}`.replaceAll(secret, "");
          const redactor = new TextRedactor(withReplacements(compileValues([secret]), ["PLACEHOLDER"]));
          const pieces = [...redactor.push(Buffer.from(rounded)), ...redactor.end(false).pieces];
          // Digits and a point of a rounded number may be all the digits of a secret that a double holds exactly.
          const isExact = rounded.replace(/[.,]/g, "").includes(secret);
          if (!isExact) expect(Buffer.concat(pieces).toString()).toBe(rounded);
        },
      ),
      propertyRuns(1_000),
    );
  },
  PROPERTY_TIMEOUT_MS,
);

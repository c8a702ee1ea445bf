import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileNeedles } from "#common/redaction/needles/needle-set.ts";
import { TextRedactor } from "#common/redaction/text-redactor.ts";
import { PROPERTY_TIMEOUT_MS, propertyRuns } from "../../support/property-runs.ts";

function redacted(secrets: readonly string[], text: string, chunkBytes: number): string {
  const redactor = new TextRedactor(compileNeedles(secrets));
  const bytes = Buffer.from(text);
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += chunkBytes)
    pieces.push(...redactor.push(bytes.subarray(at, at + chunkBytes)).map((piece) => Buffer.from(piece)));
  return Buffer.concat([...pieces, ...redactor.end(false).pieces]).toString();
}

const characters = (min: number, max: number) =>
  fc.stringMatching(new RegExp(`^[A-Za-z0-9]{${min},${max}}$`));

describe("secrets that begin alike", () => {
  it("secrets that begin alike leave the same output however it was cut, and at most twelve characters of the longer", () => {
    const secrets = ["FBSMWeguNQEnYXgvvL", "FBSMWeguNQEnYXgvvL2awfQ9zKd81mPqRt"];
    const text = `${secrets[1]?.slice(0, 20)}! end`;
    const whole = redacted(secrets, text, 1_000);
    for (let chunk = 1; chunk < 24; chunk++) expect(redacted(secrets, text, chunk)).toBe(whole);
    expect(whole).toBe("[REDACTED...gvvL]! end");
  });

  it(
    "random secrets that begin alike leave the same output however it was cut",
    () => {
      const cases = fc.tuple(characters(13, 24), characters(0, 20), characters(0, 20), fc.nat(44), fc.nat(9));
      fc.assert(
        fc.property(cases, ([shared, one, two, length, chunk]) => {
          const secrets = [shared, shared + one, shared + two];
          const text = `a ${(shared + two).slice(0, length)} b ${(shared + one).slice(0, length)}! ${shared}`;
          expect(redacted(secrets, text, chunk + 1)).toBe(redacted(secrets, text, 1_000));
        }),
        propertyRuns(300),
      );
    },
    PROPERTY_TIMEOUT_MS,
  );
});

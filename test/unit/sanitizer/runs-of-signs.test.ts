import fc from "fast-check";
import { expect, it } from "vitest";
import { PLAIN_MARKER } from "#common/redaction/markers.ts";
import { compileNeedles, type NeedleSet } from "#common/redaction/needles/needle-set.ts";
import { TextRedactor } from "#common/redaction/text-redactor.ts";
import { PROPERTY_TIMEOUT_MS, propertyRuns } from "../../support/property-runs.ts";
import { chunksOf } from "./samples/arbitraries.ts";
import { naivelyRedacted } from "./samples/naive.ts";

function redact(needles: NeedleSet, chunks: readonly Uint8Array[]): string {
  const redactor = new TextRedactor(needles);
  const pieces = chunks.flatMap((chunk) => redactor.push(chunk).map((piece) => Buffer.from(piece)));
  return Buffer.concat([...pieces, ...redactor.end(false).pieces]).toString();
}

/**
 * The needles with markers that show no characters. How many signs of a run a marker shows depends on which of
 * several readings of the same text is found first.
 */
function showingNothing(set: NeedleSet): NeedleSet {
  const needles = set.needles.map((needle) => ({
    ...needle,
    marker: PLAIN_MARKER,
    replacement: Buffer.from(PLAIN_MARKER),
    tail: 0,
  }));
  return { ...set, needles, tails: new Uint8Array(needles.length) };
}

const form = (text: string) => new URLSearchParams({ form: text }).toString();

it.each([1, 2, 3, 4, 5, 8, 20])("%d blanks in a row are found as a form writes them", (count) => {
  const blanks = " ".repeat(count);
  const value = `Zebra-19${blanks}canyon/Velvet${blanks}orbit 77`;
  const needles = compileNeedles([value], ["PASS_PHRASE"]);
  for (const before of ["", "z".repeat(300)]) {
    const text = Buffer.from(`${before} ${form(value)} ${before}`);
    expect(redact(needles, [text])).toMatch(/ form=\[REDACTED[^\]]*\] /);
  }
});

it("the lines of an indented document are found as a form writes them", () => {
  const value = 'section:\n    a: "Xy9kQ2"\n    b:\n        c: 1\n';
  expect(redact(compileNeedles([value], ["CONFIG"]), [Buffer.from(form(value))])).toMatch(
    /^form=\[REDACTED[^\]]*\]$/,
  );
});

const others = ["%", "{", "}", "]", "`", "$", '"', "'", "=", "&", "a", "b"] as const;
// Longer runs have more readings than the scanner follows.
const run = fc.oneof(
  fc.tuple(fc.constantFrom("+", " "), fc.integer({ min: 1, max: 6 })),
  fc.tuple(fc.constantFrom(...others), fc.integer({ min: 1, max: 2 })),
);
const runs = (min: number, max: number) =>
  fc
    .array(run, { minLength: min, maxLength: max })
    .map((all) => all.filter(([sign], index) => sign !== all[index - 1]?.[0]))
    .map((all) => all.map(([sign, count]) => sign.repeat(count)).join(""));
const secret = runs(3, 6).filter((value) => value.length >= 6);

const WAYS: readonly ((text: string) => string)[] = [
  (text) => text,
  (text) => text.replaceAll(" ", "+"),
  (text) => form(text),
  (text) => text.replaceAll(/["'%{}\]`$]/g, "$&$&"),
  (text) => JSON.stringify(text),
];

it(
  "runs of one sign are read as a naive reader reads them, however they are written and cut",
  () => {
    const cases = fc
      .tuple(
        fc.array(secret, { minLength: 1, maxLength: 3 }),
        fc.constantFrom(...WAYS),
        runs(0, 2),
        runs(0, 2),
      )
      .chain(([values, write, before, after]) => {
        const text = `${before}${write(values[0] as string)}${after}`;
        return fc.tuple(fc.constant(values), fc.constant(text), chunksOf(Buffer.from(text)));
      });
    fc.assert(
      fc.property(cases, ([values, text, chunks]) => {
        const needles = showingNothing(compileNeedles(values));
        const expected = naivelyRedacted(Buffer.from(text), needles.needles).toString();
        expect(redact(needles, chunks)).toBe(expected);
        const around = "z".repeat(200);
        expect(redact(needles, [Buffer.from(around + text + around)])).toBe(around + expected + around);
      }),
      propertyRuns(400),
    );
  },
  PROPERTY_TIMEOUT_MS,
);

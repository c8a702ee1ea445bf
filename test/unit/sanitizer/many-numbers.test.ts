import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileNeedles } from "#common/redaction/needles/needle-set.ts";
import { NumberIndex } from "#common/redaction/needles/number-index.ts";
import { isNumber, type SecretNumber, secretNumber } from "#common/redaction/needles/printed-numbers.ts";
import { RedactionCounts } from "#common/redaction/redaction-counts.ts";
import { TextRedactor } from "#common/redaction/text-redactor.ts";
import { redactJson } from "../../../services/sanitizer/json/redactor.ts";
import { PROPERTY_TIMEOUT_MS, propertyRuns } from "../../support/property-runs.ts";
import { measureStretches } from "../../support/stretches.ts";

const never = new AbortController().signal;
const digits = fc.stringMatching(/^[0-9]{6,22}$/);
const secret = fc
  .oneof(
    digits,
    fc.tuple(digits, fc.stringMatching(/^[0-9]{1,12}$/)).map(([whole, fraction]) => `${whole}.${fraction}`),
    fc
      .tuple(fc.stringMatching(/^[1-9]\.[0-9]{5,16}$/), fc.integer({ min: -9, max: 25 }))
      .map((all) => all.join("e")),
  )
  .filter((text) => secretNumber(text) !== undefined);
const numberOf = (text: string) => secretNumber(text) as SecretNumber;

/** How programs print a number, or one that is near it. */
const printed = (text: string) =>
  fc.oneof(
    fc.constant(text),
    fc.constant(`-${text}`),
    fc.constant(`${text.replace(/e.*/, "")}000`),
    fc.integer({ min: 1, max: 100 }).map((precision) => Number(text).toPrecision(precision)),
    fc.integer({ min: 0, max: 20 }).map((places) => Number(text).toExponential(places)),
    fc.integer({ min: -9, max: 9 }).map((more) => String(Number(text) + more)),
    fc.constant(JSON.stringify(Number(text))),
  );

describe("many secrets that are numbers", () => {
  it(
    "many secrets that are numbers are found by an index like by a search one by one",
    () => {
      const cases = fc
        .array(secret, { minLength: 1, maxLength: 8 })
        .chain((secrets) => fc.tuple(fc.constant(secrets), fc.constantFrom(...secrets).chain(printed)));
      fc.assert(
        fc.property(cases, ([secrets, text]) => {
          const index = new NumberIndex<number>();
          secrets.forEach((each, place) => {
            index.add(numberOf(each), place);
          });
          const found = secrets.findIndex((each) => isNumber(text, numberOf(each)));
          expect(index.find(text) !== undefined).toBe(found >= 0);
        }),
        propertyRuns(2_000),
      );
    },
    PROPERTY_TIMEOUT_MS,
  );

  it("many secrets that are numbers are counted under the name of the one that matches, also where they begin alike", () => {
    const secrets = ["48151623421088", "48151623420099", "481516"];
    const counts = new RedactionCounts();
    const redactor = new TextRedactor(compileNeedles(secrets, ["A", "B", "C"]), counts);
    const text = Buffer.from("48151623420099, 48,151,623,421,088 and 481516; 48151699 stays");
    const output = Buffer.concat([...redactor.push(text), ...redactor.end(false).pieces]).toString();
    expect(output).toBe("[REDACTED], [REDACTED] and [REDACTED]; 48151699 stays");
    expect(counts.toMessages().map(({ secret: name, count }) => [name, count])).toEqual([
      ["B", 1],
      ["A", 1],
      ["C", 1],
    ]);
  });

  it("secrets that are numbers of sixteen digits are found where they stand, and not within other numbers", async () => {
    const set = compileNeedles(["4111111111111234", "4815162342108642"], ["CARD", "API_KEY"]);
    const redactor = new TextRedactor(set);
    const text =
      "total 41111111111112347 EUR; 4111111111111234.25; rows 41,11,11,11,11,11,12,34; 48151623421086421";
    const output = [...redactor.push(Buffer.from(text)), ...redactor.end(false).pieces];
    expect(Buffer.concat(output).toString()).toBe(text);
    const document =
      '[41111111111112340,94111111111111234,4111111111111234.5,4111111111111234,"4815162342108642"]';
    const edits = await redactJson(Buffer.from(document), set, () => [], never);
    expect(Buffer.concat([...edits.pieces()]).toString()).toBe(
      '[41111111111112340,94111111111111234,4111111111111234.5,"[REDACTED]","[REDACTED]"]',
    );
  });

  const pins = Array.from({ length: 400 }, (_, index) => `481516${String(index * 7919).padStart(7, "0")}`);
  const documents = {
    "floats of a result": JSON.stringify(Array.from({ length: 100_000 }, (_, index) => index * 1.37e-7)),
    "ones of a result": `[${"1,".repeat(500_000)}1]`,
    "numbers that begin as they do": `[${"48151612345,".repeat(100_000)}1]`,
  };
  it.each(Object.entries(documents))(
    "many secrets that are numbers cost little more than one, and do not block the process: %s",
    async (_what, document) => {
      const [one, many] = [compileNeedles(pins.slice(0, 1)), compileNeedles(pins)];
      const text = Buffer.from(document);
      const run = (set: typeof one) => measureStretches(() => redactJson(text, set, () => [], never));
      await run(many);
      const [alone, all] = [await run(one), await run(many)];
      expect(all.totalMs).toBeLessThan(3 * alone.totalMs + 50);
      expect(all.longestMs).toBeLessThan(50);
    },
  );

  it("many secrets that are numbers cost little more than one in a text of the digits that they begin with", async () => {
    const text = Buffer.from("48151612345 ".repeat(20_000));
    const run = async (secrets: readonly string[]) => {
      const set = compileNeedles(secrets);
      return await measureStretches(async () => new TextRedactor(set).push(text));
    };
    await run(pins);
    const [alone, all] = [await run(pins.slice(0, 1)), await run(pins)];
    expect(all.totalMs).toBeLessThan(3 * alone.totalMs + 50);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileNeedles } from "#common/redaction/needles/needle-set.ts";
import { RedactionCounts } from "#common/redaction/redaction-counts.ts";
import { TextRedactor } from "#common/redaction/text-redactor.ts";
import { TRIGGERS } from "../../../services/sanitizer/credentials/formats.ts";
import { loadRules } from "../../../services/sanitizer/credentials/rules.ts";
import { CredentialPass } from "../../../services/sanitizer/credentials/text-pass.ts";
import { redactJson } from "../../../services/sanitizer/json/redactor.ts";
import { PROPERTY_TIMEOUT_MS, propertyRuns } from "../../support/property-runs.ts";
import { ENCODERS } from "./samples/encoders.ts";
import { naivelyRedacted } from "./samples/naive.ts";

const judge = await loadRules();
const noSecrets = compileNeedles([], [], TRIGGERS);
const never = new AbortController().signal;

const line = fc.string({ unit: "grapheme", minLength: 8, maxLength: 12 });
const secret = fc
  .oneof(
    fc.string({ unit: "grapheme", minLength: 6, maxLength: 16 }),
    fc.string({
      unit: fc.constantFrom("a", "b", "/", '"', "'", "\\", "&", " ", "é", "😀"),
      minLength: 6,
      maxLength: 14,
    }),
    fc.tuple(line, line, fc.constantFrom("\n", "\r\n")).map(([first, second, end]) => first + end + second),
    fc.integer({ min: 100_000 }).map(String),
    fc.tuple(fc.integer({ min: 1_000 }), fc.nat(999)).map(([whole, part]) => `-${whole}.${part}7`),
  )
  .filter((value) => value.isWellFormed() && Buffer.byteLength(value) >= 6);
const text = fc.string({ unit: "binary", maxLength: 12 });
const bytes = fc.uint8Array({ maxLength: 8 });
const places = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 });

/** `whole` cut at these places, each a share of its length. */
function cutAt(whole: Buffer, shares: readonly number[]): Buffer[] {
  const cuts = shares.map((share) => Math.round(share * whole.length)).sort((a, b) => a - b);
  return [...cuts, whole.length].map((end, index) => whole.subarray(index === 0 ? 0 : cuts[index - 1], end));
}

function redact(redactor: TextRedactor, chunks: readonly Buffer[]): Buffer {
  const pieces = chunks.flatMap((chunk) => redactor.push(chunk).map((piece) => Buffer.from(piece)));
  return Buffer.concat([...pieces, ...redactor.end(false).pieces]);
}

describe("the sanitizer", () => {
  it(
    "no needle survives the sanitizer, in whatever text, spelling and chunks, and nothing else changes",
    async () => {
      const names = Object.keys(ENCODERS);
      const seen = new Set<string>();
      const cases = fc.record({
        secret,
        encoder: fc.constantFrom(...names),
        prefix: text,
        suffix: text,
        around: fc.tuple(bytes, bytes),
        shares: places,
      });
      await fc.assert(
        fc.asyncProperty(cases, async ({ secret, encoder, prefix, suffix, around, shares }) => {
          seen.add(encoder);
          const written = ENCODERS[encoder]?.(secret, around) ?? "";
          const set = compileNeedles([secret]);
          const leaves = (output: Buffer) =>
            set.needles.find(
              ({ bytes, check }) => check === undefined && output.includes(Buffer.from(bytes)),
            );
          const whole = Buffer.from(prefix + written + suffix);
          const output = redact(new TextRedactor(set), cutAt(whole, shares));
          // A number, or a word, that goes on is another one.
          const isChecked = set.needles[0]?.check !== undefined;
          if (!isChecked) expect(output.equals(whole)).toBe(false);
          expect(leaves(output)).toBeUndefined();
          expect(output.equals(naivelyRedacted(whole, set.needles))).toBe(true);

          const json = Buffer.from(JSON.stringify({ [whole.toString()]: [whole.toString()] }));
          const edits = await redactJson(json, set, judge, never);
          const [key, value] =
            Object.entries(JSON.parse(Buffer.concat([...edits.pieces()]).toString()))[0] ?? [];
          expect(leaves(Buffer.from(`${key}\n${value}`))).toBeUndefined();

          const without = Buffer.from(prefix + suffix);
          const counts = new RedactionCounts();
          const bothPasses = new TextRedactor(noSecrets, counts, new CredentialPass(judge, counts));
          expect(redact(bothPasses, cutAt(without, shares)).equals(without)).toBe(true);
        }),
        propertyRuns(3_000),
      );
      expect(seen.size).toBe(names.length);
    },
    PROPERTY_TIMEOUT_MS,
  );

  it(
    "no number that is a secret survives the sanitizer, however JSON writes it",
    async () => {
      const number = fc.oneof(
        fc.integer({ min: 100_000 }),
        fc.double({ min: 1e-7, max: 1e15, noNaN: true }).filter((value) => String(value).length >= 6),
      );
      const spelling = fc.constantFrom<(value: number) => string>(
        String,
        (value) => `-${value}`,
        (value) => value.toExponential(),
        (value) => value.toExponential().replace("e", "E"),
        (value) =>
          String(value).includes("e") || String(value).includes(".") ? String(value) : `${value}.00`,
      );
      await fc.assert(
        fc.asyncProperty(number, spelling, async (value, write) => {
          const secret = String(value).replace(/^(\d+)e\+?(-?\d+)$/, "$1.0e$2");
          const edits = await redactJson(
            Buffer.from(`[${write(value)}, 1.0]`),
            compileNeedles([secret]),
            judge,
            never,
          );
          const [output, other] = JSON.parse(Buffer.concat([...edits.pieces()]).toString());
          expect(output).toMatch(/^\[REDACTED/);
          expect(other).toBe(1);
        }),
        propertyRuns(1_000),
      );
    },
    PROPERTY_TIMEOUT_MS,
  );
});

import { beforeAll, describe, expect, it } from "vitest";
import { compileNeedles } from "#common/redaction/needles/needle-set.ts";
import { type Judge, loadRules } from "../../../services/sanitizer/credentials/rules.ts";
import { redactJson } from "../../../services/sanitizer/json/redactor.ts";
import { longestStretchMs } from "../../support/stretches.ts";

const MAX_STRETCH_MS = 50;
const SECRET = "secret-value-number-1";
const needles = compileNeedles([
  SECRET,
  '{"client_id":"abcDEF123456","client_secret":"S3cr3t-ValueXyz"}',
  ...Array.from({ length: 99 }, (_, n) => `other-value-${n}-of-a-secret`),
]);
const never = new AbortController().signal;

const list = (item: string, count: number) => `[${Array(count).fill(item).join(",")}]`;
const object = (count: number, key: (n: number) => string) =>
  `{${Array.from({ length: count }, (_, n) => `"${key(n)}":1`).join(",")}}`;

/** Documents of about ten megabytes, the limit of a result unless a project sets another. */
const RESULTS: Readonly<Record<string, () => string>> = {
  "short strings with an escape": () => list('"\\n"', 1_900_000),
  "objects with an escaped key": () => list('{"\\n":1}', 1_000_000),
  "one string of escapes": () => `"${"\\n".repeat(5_000_000)}"`,
  "one string of the beginnings of credentials": () => `"\\n${"ghp_ AKIA xoxb- ".repeat(600_000)}"`,
  "one string of secrets": () => `"${`${SECRET} `.repeat(450_000)}"`,
  "one string of secrets with an escape": () => `"\\n${`${SECRET} `.repeat(450_000)}"`,
  "an object of a million keys, one of them a secret": () =>
    object(1_000_000, (n) => (n === 7 ? SECRET : `${n}`)),
  "an object of keys that are secrets": () => object(300_000, (n) => `${n}${SECRET}`),
  "a key that is full of secrets": () => `{"${`${SECRET} `.repeat(450_000)}":1}`,
  "one string of the sign that a secret begins with": () => `"${"{".repeat(2_000_000)}"`,
  "one string of what that may stand for": () => `"${"%7B".repeat(300_000)}${"{{".repeat(300_000)}"`,
  "a million brackets": () => "[".repeat(5_000_000) + "]".repeat(5_000_000),
};

describe("the redaction of a long result", () => {
  let judge: Judge;
  beforeAll(async () => {
    judge = await loadRules();
  });

  it.each(Object.keys(RESULTS))(
    "the redaction of a long result does not block the process for long: %s",
    async (name) => {
      const text = Buffer.from(RESULTS[name]?.() ?? "");
      const longestMs = await longestStretchMs(() => redactJson(text, needles, judge, never), MAX_STRETCH_MS);
      expect(longestMs).toBeLessThan(MAX_STRETCH_MS);
    },
  );

  it("the redaction of a long result keeps redacted keys apart from keys that spell the same marker, escaped or not", async () => {
    const text = Buffer.from(
      `{"[REDACTED]":0,"\\u005bREDACTED] (3)":0,"${SECRET}":1,"a":2,"x${SECRET}":3,"other-value-1-of-a-secret":4}`,
    );
    const edits = await redactJson(
      text,
      compileNeedles([SECRET, "other-value-1-of-a-secret"]),
      () => [],
      never,
    );
    const keys = Object.keys(JSON.parse(Buffer.concat([...edits.pieces()]).toString()));
    expect(new Set(keys).size).toBe(6);
  });
});

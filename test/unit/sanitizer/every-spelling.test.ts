import { isUtf8 } from "node:buffer";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { compileNeedles, type NeedleSet } from "#common/redaction/needles/needle-set.ts";
import { TextRedactor } from "#common/redaction/text-redactor.ts";
import { redactJson } from "../../../services/sanitizer/json/redactor.ts";
import { NOT_COVERED, tellsNothing } from "./samples/not-covered.ts";
import { type Spelled, spelledOf } from "./samples/other-spellings.ts";
import { readableIn } from "./samples/read-back.ts";
import { SPELLED_SECRETS } from "./samples/spelled-secrets.ts";

const never = new AbortController().signal;
const spelled = spelledOf(SPELLED_SECRETS);

const BEFORE = "The value is ";
const AFTER = " , she said.\n";

function redacted(set: NeedleSet, text: Buffer, chunkBytes: number): Buffer {
  const redactor = new TextRedactor(set);
  const pieces: Buffer[] = [];
  for (let at = 0; at < text.length; at += chunkBytes) {
    pieces.push(...redactor.push(text.subarray(at, at + chunkBytes)).map((piece) => Buffer.from(piece)));
  }
  return Buffer.concat([...pieces, ...redactor.end(false).pieces]);
}

async function redactedJson(set: NeedleSet, json: string): Promise<string> {
  const edits = await redactJson(Buffer.from(json), set, () => [], never);
  return Buffer.concat([...edits.pieces()]).toString();
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The texts in which a spelling is looked at, each with what is left of it. */
async function outputsOf(set: NeedleSet, written: Buffer): Promise<Map<string, Buffer>> {
  const outputs = new Map<string, Buffer>();
  const places = {
    alone: ["", ""],
    first: ["", AFTER],
    last: [BEFORE, ""],
    "in a sentence": [BEFORE, AFTER],
  };
  for (const [place, [before = "", after = ""]] of Object.entries(places)) {
    const text = Buffer.concat([Buffer.from(before), written, Buffer.from(after)]);
    for (const bytes of [text.length, 1, 7]) outputs.set(`${place}, ${bytes}`, redacted(set, text, bytes));
  }
  const text = written.toString();
  if (!isUtf8(written)) return outputs;
  const [[key, member] = []] = Object.entries(
    JSON.parse(await redactedJson(set, JSON.stringify({ [text]: [text] }))),
  );
  outputs.set("key of JSON", Buffer.from(String(key)));
  outputs.set("string of JSON", Buffer.from((member as [string])[0]));
  if (isJson(text)) outputs.set("JSON itself", Buffer.from(await redactedJson(set, text)));
  return outputs;
}

/** The problems of a case's output, by the position of the spelling. */
async function problemsOf(set: NeedleSet, telling: readonly Buffer[], each: Spelled): Promise<string[]> {
  const shownAs = each.spelling.startsWith("cut, ") ? "cut" : "whole";
  const problems: string[] = [];
  const looked = new Set<string>();
  const outputs = await outputsOf(set, each.written);
  for (const [place, output] of outputs) {
    const [name = ""] = place.split(",");
    if (!output.equals(outputs.get(`${name}, 1`) ?? output))
      problems.push(`${place}: differs from byte by byte`);
    const isIn = place.startsWith("in a sentence");
    if ((isIn || name === "last") && !output.subarray(0, BEFORE.length).equals(Buffer.from(BEFORE))) {
      problems.push(`${place}: the text before is not what it was`);
    }
    if ((isIn || name === "first") && !output.subarray(-AFTER.length).equals(Buffer.from(AFTER))) {
      problems.push(`${place}: the text after is not what it was`);
    }
    const middle = output.toString("latin1").replace(BEFORE, "").replace(AFTER, "");
    if (looked.has(middle)) continue;
    looked.add(middle);
    if (readableIn(output, telling, shownAs))
      problems.push(`${place}: can be read in ${JSON.stringify(output.toString())}`);
  }
  return problems;
}

describe("every spelling of a secret by a library", () => {
  const uncovered = new Map(NOT_COVERED.map(({ named }) => [named, 0]));
  let cases = 0;

  it.each(SPELLED_SECRETS)(
    "a secret in the spelling of $kind is redacted wherever it stands, or is named as not covered",
    { timeout: 120_000 },
    async ({ kind, value, telling = [value], means }) => {
      const set = compileNeedles([value]);
      const all = [...telling.map((run) => Buffer.from(run)), ...(means ? [means] : [])];
      const failures: Record<string, unknown> = {};
      for (const each of spelled.filter((each) => each.kind === kind)) {
        cases++;
        const isCut = each.spelling.startsWith("cut, ");
        if (!tellsNothing(each) && !readableIn(each.written, all, isCut ? "cut" : "whole")) {
          failures[each.spelling] = "the test cannot read back what was written";
        }
        const problems = await problemsOf(set, all, each);
        const named = NOT_COVERED.find((one) => one.is(each))?.named;
        const isAsWritten = redacted(set, each.written, each.written.length).equals(each.written);
        if (named && (isAsWritten || problems.length > 0))
          uncovered.set(named, (uncovered.get(named) ?? 0) + 1);
        const unnamed = problems.filter((problem) => !named || !problem.includes("can be read"));
        if (unnamed.length > 0) failures[each.spelling] = unnamed;
      }
      expect(failures).toEqual({});
    },
  );

  it("the spellings of secrets are thousands, and one that is named as not covered is not redacted", () => {
    expect(cases).toBe(spelled.length);
    expect(cases).toBeGreaterThan(2_000);
    expect([...uncovered].filter(([, count]) => count === 0)).toEqual([]);
  });

  it("each spelling of secrets that is not covered is named in docs/security.md", () => {
    const docs = readFileSync(join(import.meta.dirname, "..", "..", "..", "docs", "security.md"), "utf8");
    const text = docs.replace(/\s+/g, " ");
    expect(NOT_COVERED.map(({ named }) => named).filter((named) => !text.includes(named))).toEqual([]);
  });
});

import { describe, expect, it } from "vitest";
import { parseJsonBody } from "../../../gateway/rest/body/json-body.ts";
import { longestStretchMs } from "../../support/stretches.ts";

const MIB = 1024 * 1024;
const MAX_STRETCH_MS = 50;

const members = (count: number, one: (n: number) => string) =>
  `{${Array.from({ length: count }, (_, n) => one(n)).join(",")}}`;

/** Bodies of fifteen megabytes, of the shapes that cost most. */
const BODIES: Readonly<Record<string, () => string>> = {
  "memory of small keys": () => `{"memory":{"a":${members(1_300_000, (n) => `"k${n}":1`)}}}`,
  "memory of small categories": () => `{"memory":${members(1_000_000, (n) => `"k${n}":{}`)}}`,
  "more settings than there may be": () => `{"settings":${members(1_000_000, (n) => `"k${n}":""`)}}`,
  "small fields": () => members(1_300_000, (n) => `"k${n}":1`),
  code: () => `{"code":"${"x".repeat(15 * MIB)}"}`,
  "code of escapes": () => `{"code":"${"\\n".repeat(7 * MIB)}"}`,
  "code of long escapes": () => `{"code":"${"\\u65e5".repeat(2_600_000)}"}`,
  "code of halves of characters": () => `{"code":"${"\\ud800".repeat(2_600_000)}"}`,
  "code beyond Latin-1": () => `{"code":"${"日".repeat(5 * MIB)}"}`,
  "a setting of escapes": () => `{"settings":{"A":"${"\\n".repeat(7 * MIB)}"}}`,
  brackets: () => `{"memory":[${Array(5_000_000).fill("[]").join(",")}]}`,
  "digits of a number": () => `{"timeout":${"7".repeat(15 * MIB)}}`,
  blanks: () => `${" ".repeat(15 * MIB)}{}`,
  "blanks alone": () => " ".repeat(15 * MIB),
  "what is no JSON at its end": () => `{"memory":{"a":${members(1_300_000, (n) => `"k${n}":1`)}}`,
};

describe("a large body", () => {
  it.each(Object.keys(BODIES))("a large body does not block the process for long: %s", async (name) => {
    const bytes = Buffer.from(BODIES[name]?.() ?? "");
    const longestMs = await longestStretchMs(async () => {
      const body = await parseJsonBody(bytes).catch(() => undefined);
      body?.textOf("memory");
    }, MAX_STRETCH_MS);
    expect(longestMs).toBeLessThan(MAX_STRETCH_MS);
  });

  it("a large body arrives digit for digit", async () => {
    const memory = `{"a": {"n": 9007199254740993, "x": [1.0, -0.0, 5e-324], "😀\\n": "\\u00e9"}}`;
    const body = await parseJsonBody(Buffer.from(`\ufeff {"code" : "a\\nb", "memory" : ${memory} } `));
    expect(body.textOf("memory")).toBe(memory);
    expect(body.value.code).toBe("a\nb");
    expect(body.textOf("settings")).toBeUndefined();
  });

  it("a large body with a setting that is given twice is refused, and the refusal names the setting", async () => {
    const body = parseJsonBody(Buffer.from('{"settings":{"A":"1","\\u0041":"2"}}'));
    await expect(body).rejects.toThrow('"settings.A" is given more than once');
  });
});

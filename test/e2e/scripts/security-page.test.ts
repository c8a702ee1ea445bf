import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { restClient } from "../../harness/rest.ts";

const PAGE = await readFile(join(import.meta.dirname, "..", "..", "..", "docs", "security.md"), "utf8");
const VALUES = { BILLING_KEY: "billing-key-value-1", ERP_TOKEN: "erp-token-value-2" };
const spaced = (text: string) => [...text].join(" ");
const block = (language: string) =>
  PAGE.match(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, "ms"))?.[1] ?? "";

let airlock: TestAirlock;
beforeAll(async () => {
  airlock = await startAirlock({ projects: { billing: block("yaml") }, env: VALUES });
});
afterAll(() => airlock.remove());

describe("docs/security.md", () => {
  it("docs/security.md is right about what redaction cannot do, and brokering can", async () => {
    const { stdout, end_reason } = await restClient(airlock.url).run({
      project: "billing",
      code: block("python"),
    });
    expect(end_reason).toBe("completed");
    const [printed, transformed, placeholder] = stdout.split("\n");
    expect(printed).toBe("[REDACTED...ue-1]");
    expect(transformed).toBe(spaced(VALUES.BILLING_KEY));
    expect(placeholder).toMatch(/^a i r l o c k - p l a c e h o l d e r -/);
    expect(stdout).not.toContain(spaced(VALUES.ERP_TOKEN));
  });

  it("docs/security.md names only files that exist", async () => {
    const found = [...PAGE.matchAll(/`([\w/-]+\.(?:py|ts))`/g)].map(([, name]) => name as string);
    expect(found.length).toBeGreaterThan(10);
    const places = ["worker/airlock_worker", "services/egress", "."].map((place) =>
      join(import.meta.dirname, "..", "..", "..", place),
    );
    for (const name of found) {
      const texts = places.map((place) => readFile(join(place, name)).catch(() => undefined));
      expect((await Promise.all(texts)).some(Boolean), name).toBe(true);
    }
  });
});

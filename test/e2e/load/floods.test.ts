import { afterAll, beforeAll, describe, it } from "vitest";
import { expectCalm, type FloodHarness, openFloodHarness } from "./flooding/flood-harness.ts";

// A flood is a module of its own in floods/. One that needs other projects opens a harness of its own.
const FLOODS = ["large-bodies", "half-sent-bodies", "long-results", "repeated-reads"];

describe("a flood of one project", () => {
  let harness: FloodHarness;
  beforeAll(async () => {
    harness = await openFloodHarness();
  }, 120_000);
  afterAll(() => harness?.remove());

  it.each(FLOODS)(
    "a flood of one project leaves another project as quick as it was, and nothing of it fails: %s",
    async (name) => {
      await expectCalm(harness, new URL(`./floods/${name}.ts`, import.meta.url));
    },
    300_000,
  );
});

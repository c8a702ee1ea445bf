import { afterEach, describe, it } from "vitest";
import { expectCalm, type FloodHarness, openFloodHarness } from "./flooding/flood-harness.ts";

// Each with the file of the project that is flooded.
const FLOODS = [
  ["stored", "limits: {stored_mb: 60}\n"],
  ["many-workers", "replicas: 24\n"],
  ["failing-starts", 'packages: ["no-such @ file:///nowhere/no-such.whl"]\nreplicas: 8\n'],
] as const;

describe("a project that stores much, or starts workers", () => {
  let harness: FloodHarness | undefined;
  afterEach(async () => {
    await harness?.remove();
    harness = undefined;
  });

  it.each(FLOODS)(
    "a project that stores much, or starts workers, leaves another as quick as it was, and nothing of it fails: %s",
    async (name, loud) => {
      harness = await openFloodHarness({ loud });
      await expectCalm(harness, new URL(`./floods/${name}.ts`, import.meta.url));
    },
    300_000,
  );
});

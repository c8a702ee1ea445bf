import { afterEach, describe, it } from "vitest";
import { expectCalm, type FloodStage, openFloodStage } from "./flooding/flood-harness.ts";

// Each with the file of the project that is flooded.
const FLOODS = [
  ["stored", "limits: {stored_mb: 60}\n"],
  ["many-workers", "replicas: 24\n"],
  ["failing-starts", 'packages: ["no-such @ file:///nowhere/no-such.whl"]\nreplicas: 8\n'],
] as const;

describe("a project that stores much, or starts workers", () => {
  let stage: FloodStage | undefined;
  afterEach(async () => {
    await stage?.remove();
    stage = undefined;
  });

  it.each(FLOODS)(
    "a project that stores much, or starts workers, leaves another as quick as it was, and nothing of it fails: %s",
    async (name, loud) => {
      stage = await openFloodStage({ loud });
      await expectCalm(stage, new URL(`./floods/${name}.ts`, import.meta.url));
    },
    300_000,
  );
});

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { startTestEgress } from "../../harness/egress.ts";

it("a network route is opened as before while the project's file has a mistake", async () => {
  const directory = await mkdtemp(join(tmpdir(), "airlock-egress-"));
  const file = join(directory, "demo.yaml");
  await writeFile(file, 'name: demo\nnetwork_allowlist: ["one.example"]\n');
  const egress = await startTestEgress(directory);
  const hold = async (executionId: string) => {
    const { stream } = await egress.holdRoute("demo", executionId);
    stream.cancel();
  };
  try {
    await hold("before");
    await writeFile(file, "");
    // Longer than the time for which a file must not have changed.
    await sleep(1_500);
    await hold("meanwhile");
    await rm(file);
    await sleep(1_500);
    await expect(hold("removed")).rejects.toThrow("There is no project yet");
  } finally {
    await egress.close();
    await rm(directory, { recursive: true });
  }
}, 30_000);

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openGateway, type TestGateway } from "../../harness/gateway.ts";
import { startServices, type TestServices } from "../../harness/services.ts";
import { wheel } from "../../support/wheel.ts";

let services: TestServices;
let gateway: TestGateway;
let packages: string;
const wheelPath = () => join(packages, "atinypackage-1.0-py3-none-any.whl");

beforeEach(async () => {
  // The package of the project demo does not exist yet.
  packages = await mkdtemp(join(tmpdir(), "airlock-packages-"));
  services = await startServices({
    demo: `replicas: 1\npackages: ["atinypackage @ file://${wheelPath()}"]\n`,
    well: "replicas: 1\n",
  });
  gateway = await openGateway(services);
});
afterEach(async () => {
  await gateway.stop();
  await services.close();
  await rm(packages, { recursive: true });
});

it("a project whose workers fail to start says why at once, and other projects are not affected", async () => {
  const errors: string[] = [];
  await expect
    .poll(
      async () => {
        const { end_reason, error } = await gateway.run({ code: "set_result(1)" });
        expect(end_reason).toBe("start_failed");
        errors.push(error ?? "");
        return error;
      },
      { timeout: 30_000 },
    )
    .toMatch(
      /could not be installed[\s\S]+The last starts failed like this; the next one is tried in \d+ s\.$/,
    );
  expect(errors.slice(0, 4).join(" ")).not.toContain("The last starts failed");
  expect(await gateway.run({ project: "well", code: "set_result(2)" })).toMatchObject({ result: 2 });
});

it("a project whose workers failed to start tries again when an operator starts its workers", async () => {
  await expect
    .poll(async () => (await gateway.run({ code: "set_result(1)" })).error, { timeout: 30_000 })
    .toContain("The last starts failed");
  await writeFile(wheelPath(), wheel("atinypackage", "VALUE = 42\n"));
  expect((await gateway.post("/projects/demo/up", {})).status).toBe(200);
  expect(await gateway.run({ code: "set_result(1)" })).toMatchObject({ result: 1 });
});

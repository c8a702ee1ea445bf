import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openGateway, type TestGateway } from "../support/gateway.ts";
import { startServices, type TestServices } from "../support/services.ts";

let services: TestServices;
let gateway: TestGateway;
beforeEach(async () => {
  services = await startServices({
    demo: "replicas: 1\n",
    well: "replicas: 1\n",
  });
  gateway = await openGateway(services);
  await writeFile(join(services.directory, "projects", "demo.lock"), "for other packages");
});
afterEach(async () => {
  await gateway.stop();
  await services.close();
});

it("a project whose workers fail to start says why at once, and its neighbours do not notice", async () => {
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
      /was made for other packages.+The last starts failed like this; the next one is tried in \d+ s\.$/,
    );
  expect(errors.slice(0, 4).join(" ")).not.toContain("The last starts failed");
  expect(await gateway.run({ project: "well", code: "set_result(2)" })).toMatchObject({ result: 2 });
});

it("tries again when somebody starts its workers by hand", async () => {
  await expect
    .poll(async () => (await gateway.run({ code: "set_result(1)" })).error, { timeout: 30_000 })
    .toContain("The last starts failed");
  await rm(join(services.directory, "projects", "demo.lock"));
  expect((await gateway.post("/projects/demo/up", {})).status).toBe(200);
  expect(await gateway.run({ code: "set_result(1)" })).toMatchObject({ result: 1 });
});

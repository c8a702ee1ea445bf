import { describe, expect, it } from "vitest";
import { createLog } from "#common/service/log.ts";
import { startMockGateway } from "../../../gateway/mock.ts";
import { describeRestContract } from "./rest-contract.ts";
import { get, settled, submit, type Target } from "./rest-contract-client.ts";

async function start(): Promise<Target> {
  const gateway = await startMockGateway({ host: "127.0.0.1", port: 0 }, createLog("gateway", "fatal"));
  return {
    url: `http://127.0.0.1:${gateway.port}`,
    project: "mock-project",
    stop: () => gateway.drain(1_000),
  };
}

describeRestContract("the mock", start);

describe("the mock", () => {
  it("the mock completes with the code itself as result and output", async () => {
    const target = await start();
    const code = 'print("é\u{1f680}\\n")\n';
    const { json } = await settled(target, await submit(target, code));
    expect(json).toMatchObject({ result: { echo: code }, stdout: code, stderr: "" });
    await target.stop();
  });

  it("the mock has one project, up with one idle worker", async () => {
    const target = await start();
    expect((await get(target, "/projects")).json.projects).toEqual([
      expect.objectContaining({
        name: "mock-project",
        description: "A mock project for testing",
        status: "up",
        replicas: 1,
        idle_workers: 1,
        packages: ["requests", "pandas"],
      }),
    ]);
    await target.stop();
  });
});

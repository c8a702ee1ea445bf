import { describe, expect, it } from "vitest";
import { ExecutionStatus } from "#proto/execution.ts";
import { restClient } from "../../harness/rest.ts";
import { execution, startOver } from "./fake-backends.ts";

const MIB = 1024 * 1024;

describe("an answer of several megabytes", () => {
  it("an answer of several megabytes adds no more listeners to its response than Node expects, whichever call it answers", async () => {
    const warnings: string[] = [];
    const note = (warning: Error) => warnings.push(warning.message);
    process.on("warning", note);
    const ended = execution({ status: ExecutionStatus.COMPLETED, stdout: "x".repeat(11 * MIB) });
    const gateway = await startOver({
      router: {
        getExecution: async (_id, _waitMs, _signal, reserveMemory) => {
          await reserveMemory(11 * MIB);
          return ended;
        },
        respond: async () => ended,
        cancel: async () => ended,
      },
    });
    try {
      const client = restClient(gateway.url);
      const path = `/executions/${ended.executionId}`;
      const answers = await Promise.all([
        client.post("/execute?wait=20", { project: "mock-project", code: "print(1)" }),
        fetch(`${gateway.url}${path}?wait=20`),
        client.post(`${path}/respond`, { response: "blue" }),
        client.post(`${path}/cancel`, {}),
      ]);
      const texts = await Promise.all(answers.map((answer) => answer.text()));
      expect(texts.map((text) => text.length > 11 * MIB)).toEqual([true, true, true, true]);
    } finally {
      await gateway.drain(0);
      process.off("warning", note);
    }
    expect(warnings).toEqual([]);
  });
});

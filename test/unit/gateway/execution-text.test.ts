import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { executionText } from "../../../gateway/execution-text.ts";
import { EndReason, ExecutionStatus } from "../../../services/common/gen/airlock/v1/execution.ts";
import { execution } from "./fake-backend.ts";

describe("executionText", () => {
  it("shows the eleven fields in the order of the contract", () => {
    expect(JSON.parse(executionText(execution()))).toEqual({
      execution_id: execution().executionId,
      status: "pending",
      result: null,
      stdout: "",
      stderr: "",
      error: null,
      llm_request: null,
      memory_updates: {},
      execution_time_ms: null,
      end_reason: null,
      truncated: { stdout: 0, stderr: 0 },
    });
    expect(executionText(execution())).toMatch(
      /^\{"execution_id":.+"status":.+"result":.+"stdout":.+"stderr":.+"error":.+"llm_request":.+"memory_updates":.+"execution_time_ms":.+"end_reason":.+"truncated":.+\}$/,
    );
  });

  it("leaves result and memory_updates as the worker wrote them", () => {
    const resultJson = '{"big": 9223372036854775809, "float": 1.0, "tiny": 5e-324, "neg": -0.0}';
    const memoryUpdatesJson = '{"a": {"b": 9007199254740993}}';
    const text = executionText(execution({ resultJson, memoryUpdatesJson }));
    expect(text).toContain(`"result":${resultJson},`);
    expect(text).toContain(`"memory_updates":${memoryUpdatesJson},`);
  });

  it("is JSON whatever the script printed", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.jsonValue(), (printed, result) => {
        const shown = JSON.parse(
          executionText(
            execution({
              stdout: printed,
              stderr: printed,
              error: printed,
              resultJson: JSON.stringify(result),
            }),
          ),
        );
        expect(shown).toMatchObject({ stdout: printed, stderr: printed, error: printed });
        expect(shown.result).toEqual(JSON.parse(JSON.stringify(result)));
      }),
    );
  });

  it("names how it ended and what was cut", () => {
    const ended = execution({
      status: ExecutionStatus.TIMEOUT,
      endReason: EndReason.LLM_TIMEOUT,
      executionTimeMs: 12,
      truncated: { stdoutBytes: 5, stderrBytes: 6 },
      error: "nobody answered",
    });
    expect(JSON.parse(executionText(ended))).toMatchObject({
      status: "timeout",
      end_reason: "llm_timeout",
      execution_time_ms: 12,
      truncated: { stdout: 5, stderr: 6 },
      error: "nobody answered",
    });
  });

  it("shows the open question and nothing else of it", () => {
    const llmRequest = { id: "q1", prompt: "Why?", model: "default" };
    const paused = execution({ status: ExecutionStatus.AWAITING_LLM, llmRequest });
    expect(JSON.parse(executionText(paused)).llm_request).toEqual(llmRequest);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { executionText as executionBytes } from "../../../gateway/execution-text.ts";
import {
  EndReason,
  type Execution,
  ExecutionStatus,
} from "../../../services/common/gen/airlock/v1/execution.ts";
import { longestStretchMs } from "../../support/stretches.ts";
import { execution } from "./fake-backend.ts";

const executionText = async (of: Execution) => Buffer.concat([...(await executionBytes(of))]).toString();

describe("executionText", () => {
  it("shows the eleven fields in the order of the contract", async () => {
    expect(JSON.parse(await executionText(execution()))).toEqual({
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
    expect(await executionText(execution())).toMatch(
      /^\{"execution_id":.+"status":.+"result":.+"stdout":.+"stderr":.+"error":.+"llm_request":.+"memory_updates":.+"execution_time_ms":.+"end_reason":.+"truncated":.+\}$/,
    );
  });

  it("leaves result and memory_updates as the worker wrote them", async () => {
    const resultJson = '{"big": 9223372036854775809, "float": 1.0, "tiny": 5e-324, "neg": -0.0}';
    const memoryUpdatesJson = '{"a": {"b": 9007199254740993}}';
    const text = await executionText(execution({ resultJson, memoryUpdatesJson }));
    expect(text).toContain(`"result":${resultJson},`);
    expect(text).toContain(`"memory_updates":${memoryUpdatesJson},`);
  });

  it("is JSON whatever the script printed", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary" }), fc.jsonValue(), async (printed, result) => {
        const shown = JSON.parse(
          await executionText(
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

  it("writes long output in turns, and none of its characters in halves", async () => {
    const stdout = '😀\n"'.repeat(2_000_000);
    const resultJson = `"${"日".repeat(3_000_000)}"`;
    const llmRequest = { id: "q1", prompt: stdout, model: "default" };
    let pieces: readonly Buffer[] = [];
    const longestMs = await longestStretchMs(async () => {
      pieces = await executionBytes(execution({ stdout, stderr: stdout, resultJson, llmRequest }));
    }, 50);
    expect(longestMs).toBeLessThan(50);
    const text = Buffer.concat([...pieces]).toString();
    const shown = JSON.parse(text);
    expect(shown.stdout === stdout && shown.stderr === stdout && shown.llm_request.prompt === stdout).toBe(
      true,
    );
    expect(text.includes(resultJson)).toBe(true);
  });

  it("names how it ended and what was cut", async () => {
    const ended = execution({
      status: ExecutionStatus.TIMEOUT,
      endReason: EndReason.LLM_TIMEOUT,
      executionTimeMs: 12,
      truncated: { stdoutBytes: 5, stderrBytes: 6 },
      error: "nobody answered",
    });
    expect(JSON.parse(await executionText(ended))).toMatchObject({
      status: "timeout",
      end_reason: "llm_timeout",
      execution_time_ms: 12,
      truncated: { stdout: 5, stderr: 6 },
      error: "nobody answered",
    });
  });

  it("shows the open question and nothing else of it", async () => {
    const llmRequest = { id: "q1", prompt: "Why?", model: "default" };
    const paused = execution({ status: ExecutionStatus.AWAITING_LLM, llmRequest });
    expect(JSON.parse(await executionText(paused)).llm_request).toEqual(llmRequest);
  });
});

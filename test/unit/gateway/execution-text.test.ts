import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EndReason, type Execution, ExecutionStatus, WaitingKind } from "#proto/execution.ts";
import { ExecutionText } from "#proto/router.ts";
import { executionText as executionBytes } from "../../../gateway/execution-text/execution-text.ts";
import { longestStretchMs } from "../../support/stretches.ts";
import { execution } from "./fake-backends.ts";

const executionText = async (of: Execution) => Buffer.concat([...(await executionBytes(of))]).toString();

describe("executionText", () => {
  it("the JSON of an execution has its fields in the order of the contract", async () => {
    expect(JSON.parse(await executionText(execution()))).toEqual({
      execution_id: execution().executionId,
      project: "demo",
      status: "pending",
      result: null,
      stdout: "",
      stderr: "",
      error: null,
      llm_request: null,
      waiting_on: null,
      memory_updates: {},
      execution_time_ms: null,
      created_at: "1970-01-01T00:00:00.000Z",
      started_at: null,
      ended_at: null,
      end_reason: null,
      truncated: { stdout: 0, stderr: 0 },
    });
    expect(await executionText(execution())).toMatch(
      /^\{"execution_id":.+"project":.+"status":.+"result":.+"stdout":.+"stderr":.+"error":.+"llm_request":.+"waiting_on":.+"memory_updates":.+"execution_time_ms":.+"created_at":.+"started_at":.+"ended_at":.+"end_reason":.+"truncated":.+\}$/,
    );
  });

  it("the JSON of an execution has result and memory_updates as the worker wrote them", async () => {
    const resultJson = '{"big": 9223372036854775809, "float": 1.0, "tiny": 5e-324, "neg": -0.0}';
    const memoryUpdatesJson = '{"a": {"b": 9007199254740993}}';
    const text = await executionText(execution({ resultJson, memoryUpdatesJson }));
    expect(text).toContain(`"result":${resultJson},`);
    expect(text).toContain(`"memory_updates":${memoryUpdatesJson},`);
  });

  it("the JSON of an execution has the result as a string with the exact text where a parser would lose digits", async () => {
    const resultJson =
      '{"big": 9223372036854775809, "float": 1.0, "tiny": 5e-324, "neg": -0.0, "text": "a\\n\\"ü"}';
    const shown = (await executionBytes(execution({ resultJson }), { resultAsText: true })).toString();
    expect(JSON.parse(shown).result).toBe(resultJson);
    const none = (
      await executionBytes(execution(), { resultAsText: true, pollUrl: "/executions/x" })
    ).toString();
    expect(JSON.parse(none)).toMatchObject({ result: "null", poll_url: "/executions/x" });
  });

  it("the JSON of an execution says what a pending execution waits for", async () => {
    const waitingOn = { kind: WaitingKind.QUEUE, queuePosition: 2, detail: "All are busy." };
    expect(JSON.parse(await executionText(execution({ waitingOn }))).waiting_on).toEqual({
      kind: "queue",
      queue_position: 2,
      detail: "All are busy.",
    });
  });

  it("the JSON of an execution is valid whatever the script printed", async () => {
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

  it("the JSON of an execution is the same for long texts that came in pieces, wherever a piece ends", async () => {
    const every = Array.from({ length: 0x250 }, (_, code) => String.fromCharCode(code)).join("");
    const text = `${every}\u2028😀"\\`;
    const pieces = (of: string, length: number) => {
      const bytes = Buffer.from(of);
      return Array.from({ length: Math.ceil(bytes.length / length) }, (_, n) =>
        bytes.subarray(n * length, (n + 1) * length),
      );
    };
    const resultJson = '{"big": 9223372036854775809, "float": 1.0}';
    for (const length of [1, 7, 100_000]) {
      const longTexts = new Map([
        [ExecutionText.STDOUT, pieces(text, length)],
        [ExecutionText.STDERR, pieces("clean", length)],
        [ExecutionText.RESULT_JSON, pieces(resultJson, length)],
        [ExecutionText.MEMORY_UPDATES_JSON, pieces('{"a":{}}', length)],
      ]);
      for (const resultAsText of [false, true]) {
        const long = await executionBytes({ ...execution(), longTexts }, { resultAsText });
        const whole = execution({ stdout: text, stderr: "clean", resultJson, memoryUpdatesJson: '{"a":{}}' });
        const short = await executionBytes(whole, { resultAsText });
        expect(Buffer.concat([...long]).toString()).toBe(Buffer.concat([...short]).toString());
      }
    }
  });

  it("the JSON of an execution is written in turns for long output, and no character is cut", async () => {
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

  it("the JSON of an execution names how it ended and what was cut", async () => {
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

  it("the JSON of an execution shows the open llm request and nothing else of it", async () => {
    const llmRequest = { id: "q1", prompt: "Why?", model: "default" };
    const paused = execution({ status: ExecutionStatus.AWAITING_LLM, llmRequest });
    expect(JSON.parse(await executionText(paused)).llm_request).toEqual(llmRequest);
  });
});

import { endReasonFromProto, statusFromProto } from "../services/common/execution-names.ts";
import type { Execution } from "../services/common/gen/airlock/v1/execution.ts";

/**
 * The execution as REST shows it. `result` and `memory_updates` go in as the text they came as: parsing and printing
 * them would turn 1.0 into 1 and 9223372036854775809 into another number.
 */
export function executionText(execution: Execution): string {
  const { llmRequest, truncated } = execution;
  return objectText({
    execution_id: JSON.stringify(execution.executionId),
    status: JSON.stringify(statusFromProto(execution.status) ?? "pending"),
    result: execution.resultJson || "null",
    stdout: JSON.stringify(execution.stdout),
    stderr: JSON.stringify(execution.stderr),
    error: JSON.stringify(execution.error ?? null),
    llm_request: JSON.stringify(
      llmRequest ? { id: llmRequest.id, prompt: llmRequest.prompt, model: llmRequest.model } : null,
    ),
    memory_updates: execution.memoryUpdatesJson || "{}",
    execution_time_ms: JSON.stringify(execution.executionTimeMs ?? null),
    end_reason: JSON.stringify(endReasonFromProto(execution.endReason) ?? null),
    truncated: JSON.stringify({
      stdout: truncated?.stdoutBytes ?? 0,
      stderr: truncated?.stderrBytes ?? 0,
    }),
  });
}

/** A JSON object out of members that are JSON text already. */
function objectText(members: Readonly<Record<string, string>>): string {
  return `{${Object.entries(members)
    .map(([key, text]) => `${JSON.stringify(key)}:${text}`)
    .join(",")}}`;
}

import type { EndReasonName, Status } from "../../common/execution-names.ts";
import type { Execution, State, Submission } from "../execution.ts";
import type { Summary } from "./store.ts";

type SummaryRow = {
  execution_id: string;
  project: string;
  status: Status;
  end_reason: EndReasonName | null;
  execution_time_ms: number | null;
  created_at_ms: number;
  ended_at_ms: number | null;
};

export type ExecutionRow = SummaryRow & {
  code: string;
  timeout_ms: number;
  settings: string;
  memory: string;
  llm_id: string | null;
  llm_prompt: string | null;
  llm_model: string | null;
  error: string | null;
  result: string;
  memory_updates: string;
  truncated_stdout: number;
  truncated_stderr: number;
  started_at_ms: number | null;
};

export type OutputRow = { stdout: string; stderr: string };

export function toExecution(row: ExecutionRow, output: readonly OutputRow[]): Execution {
  return {
    executionId: row.execution_id,
    project: row.project,
    createdAtMs: row.created_at_ms,
    executionTimeMs: row.execution_time_ms,
    stdout: output.map((piece) => piece.stdout).join(""),
    stderr: output.map((piece) => piece.stderr).join(""),
    state: toState(row),
  };
}

function toState(row: ExecutionRow): State {
  const startedAtMs = row.started_at_ms;
  switch (row.status) {
    case "pending":
      return { status: "pending" };
    case "running":
      return { status: "running", startedAtMs: startedAtMs ?? row.created_at_ms };
    case "awaiting_llm":
      return {
        status: "awaiting_llm",
        startedAtMs: startedAtMs ?? row.created_at_ms,
        question: { id: row.llm_id ?? "", prompt: row.llm_prompt ?? "", model: row.llm_model ?? "" },
      };
    default:
      return {
        status: row.status,
        startedAtMs,
        endedAtMs: row.ended_at_ms ?? row.created_at_ms,
        ending: {
          reason: row.end_reason ?? "worker_lost",
          error: row.error,
          resultJson: row.result,
          memoryUpdatesJson: row.memory_updates,
          truncated: { stdout: row.truncated_stdout, stderr: row.truncated_stderr },
          executionTimeMs: row.execution_time_ms,
        },
      };
  }
}

export function toSubmission(row: ExecutionRow): Submission {
  return {
    executionId: row.execution_id,
    project: row.project,
    code: row.code,
    timeoutMs: row.timeout_ms,
    settings: JSON.parse(row.settings) as Record<string, string>,
    memoryJson: row.memory,
    createdAtMs: row.created_at_ms,
  };
}

export function toSummary(row: SummaryRow): Summary {
  return {
    executionId: row.execution_id,
    project: row.project,
    status: row.status,
    endReason: row.end_reason,
    executionTimeMs: row.execution_time_ms,
    createdAtMs: row.created_at_ms,
    endedAtMs: row.ended_at_ms,
  };
}

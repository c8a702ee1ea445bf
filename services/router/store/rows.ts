import type { EndReasonName, Status } from "../../common/execution-names.ts";
import type { Execution, Grant, Output, Started, State, Submission } from "../execution.ts";
import type { Claim, LostExecution, OwnExecution, Summary } from "./store.ts";

export type ClaimRow = { execution_id: string; project: string };

export type SummaryRow = {
  execution_id: string;
  project: string;
  status: Status;
  end_reason: EndReasonName | null;
  execution_time_ms: number | null;
  created_at_ms: number;
  ended_at_ms: number | null;
};

export type SubmissionRow = {
  execution_id: string;
  project: string;
  code: string;
  timeout_ms: number;
  settings: string;
  memory: string;
  created_at_ms: number;
};

export type StartedRow = SubmissionRow & { epoch: number };

export type LostRow = StartedRow & { granted: string | null; next_position: number };

export type ExecutionRow = SummaryRow & {
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

export const SUMMARY_COLUMNS =
  "execution_id, project, status, end_reason, execution_time_ms, created_at_ms, ended_at_ms";
/** What was submitted is not among them, it may be megabytes. */
export const EXECUTION_COLUMNS = `${SUMMARY_COLUMNS}, llm_id, llm_prompt, llm_model, error,
  result, memory_updates, truncated_stdout, truncated_stderr, started_at_ms`;

export function toExecution(row: ExecutionRow, { stdout, stderr }: Output): Execution {
  return {
    executionId: row.execution_id,
    project: row.project,
    createdAtMs: row.created_at_ms,
    executionTimeMs: row.execution_time_ms,
    stdout,
    stderr,
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

function toSubmission(row: SubmissionRow): Submission {
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

export function toStarted(row: StartedRow): Started {
  return { submission: toSubmission(row), epoch: row.epoch };
}

/** Oldest first. */
export function toLost(rows: readonly LostRow[]): LostExecution[] {
  return rows
    .map((row) => ({
      ...toStarted(row),
      grant: row.granted === null ? undefined : (JSON.parse(row.granted) as Grant),
      position: row.next_position,
    }))
    .sort((a, b) => (a.submission.executionId < b.submission.executionId ? -1 : 1));
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

export type OwnRow = ClaimRow & { status: Status };

/** Oldest first. */
export function toOwn(rows: readonly OwnRow[]): OwnExecution[] {
  return rows
    .map((row) => ({
      executionId: row.execution_id,
      project: row.project,
      hasStarted: row.status !== "pending",
    }))
    .sort((a, b) => (a.executionId < b.executionId ? -1 : 1));
}

/** Claims, oldest first; what a database returns from an update comes in any order. */
export function toClaims(rows: readonly ClaimRow[]): Claim[] {
  return rows
    .map((row) => ({ executionId: row.execution_id, project: row.project }))
    .sort((a, b) => (a.executionId < b.executionId ? -1 : 1));
}

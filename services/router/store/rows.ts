import { LARGE_BYTES } from "#common/event-loop/background-thread.ts";
import { DEAD_LETTER_REASONS, type EndReasonName, type Status } from "#common/execution-names.ts";
import type { Submission } from "#common/submission/submission.ts";
import {
  type Ending,
  type Execution,
  type Grant,
  type Output,
  type OutputPiece,
  type Started,
  type State,
  statusOf,
} from "../execution.ts";
import type {
  Claim,
  DeadLetter,
  IdempotencyRecord,
  OrphanedExecution,
  Outline,
  OwnExecution,
  Queues,
  Summary,
} from "./store.ts";
import { SUBMITTER_COLUMNS } from "./submitters.ts";

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

export type OutlineRow = { status: Status; execution_time_ms: number | null; bytes: number };

/**
 * SQL columns of a query that sums stored bytes by project: `pending` for the pending executions, `started`
 * for those that run or are paused.
 */
export const UNFINISHED_BYTES_COLUMNS = `project,
  CAST(sum(CASE status WHEN 'pending' THEN stored_bytes ELSE 0 END) AS BIGINT) AS pending,
  CAST(sum(CASE status WHEN 'pending' THEN 0 ELSE stored_bytes END) AS BIGINT) AS started`;

export type SubmissionRow = {
  execution_id: string;
  project: string;
  code: string;
  timeout_ms: number;
  settings: string;
  memory: string;
  created_at_ms: number;
};

export type StartedRow = SubmissionRow & {
  epoch: number;
  /** A boolean in PostgreSQL, 0 or 1 in SQLite. */
  cancel_requested: boolean | number;
};

export type OrphanedRow = ClaimRow & {
  timeout_ms: number;
  epoch: number;
  granted: string | null;
  next_position: number;
};

/** What the statement that ends an execution returns of it. */
export type EndedRow = Pick<
  SummaryRow,
  "execution_id" | "project" | "execution_time_ms" | "created_at_ms"
> & {
  started_at_ms: number | null;
  stored_bytes: number;
};

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

export type DeadLetterRow = {
  execution_id: string;
  project: string;
  end_reason: EndReasonName;
  error: string;
  created_at_ms: number;
  ended_at_ms: number;
  newest_retries: string | null;
  retries: number;
};

export type KeyRow = { fingerprint: string; execution_id: string | null };

export type RemovalRow = { removed: number; is_busy: boolean };

export type QueuesRow = {
  unfinished: number;
  pending: number;
  project_unfinished: number;
  project_pending: number;
  other_projects: number;
};

export const SUMMARY_COLUMNS =
  "execution_id, project, status, end_reason, execution_time_ms, created_at_ms, ended_at_ms";
/** The SQL columns of an execution without its submission, which may be megabytes. */
export const EXECUTION_COLUMNS = `${SUMMARY_COLUMNS}, llm_id, llm_prompt, llm_model, error,
  result, memory_updates, truncated_stdout, truncated_stderr, started_at_ms`;

/**
 * The SQL columns of an execution and its submitter, with an empty result and empty memory updates, because
 * these may be long and are read in pieces.
 */
export const HEAD_COLUMNS = `${EXECUTION_COLUMNS.replace(
  "result, memory_updates",
  "'' AS result, '' AS memory_updates",
)}, ${SUBMITTER_COLUMNS}`;

/**
 * The SQL condition that selects dead letters. An index of the database has exactly this condition; the
 * database would not use the index for a condition in other words.
 */
export const IS_DEAD_LETTER = `end_reason IN (${DEAD_LETTER_REASONS.map((reason) => `'${reason}'`).join(", ")})`;

/** How many retries of a dead letter a list shows at most. */
const SHOWN_RETRIES = 20;

export const DEAD_LETTER_COLUMNS = `execution_id, project, end_reason, error, created_at_ms, ended_at_ms,
  (SELECT string_agg(newest.execution_id, ' ' ORDER BY newest.retry_number) FROM
    (SELECT retry.execution_id, retry.retry_number FROM executions AS retry WHERE retry.retry_of = executions.execution_id
     ORDER BY retry.retry_number DESC LIMIT ${SHOWN_RETRIES}) AS newest) AS newest_retries,
  (SELECT COALESCE(max(retry.retry_number), 0) FROM executions AS retry
   WHERE retry.retry_of = executions.execution_id) AS retries`;

/**
 * SQL columns that count unfinished executions: those of project `$1` and those of all projects. The query
 * with these columns must select unfinished executions only.
 */
export const QUEUE_COLUMNS = `count(*) AS unfinished, count(*) FILTER (WHERE status = 'pending') AS pending,
  count(*) FILTER (WHERE project = $1) AS project_unfinished,
  count(*) FILTER (WHERE project = $1 AND status = 'pending') AS project_pending,
  count(DISTINCT project) FILTER (WHERE project <> $1) AS other_projects`;

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
        llmRequest: { id: row.llm_id ?? "", prompt: row.llm_prompt ?? "", model: row.llm_model ?? "" },
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

export function toSubmission(row: SubmissionRow): Submission {
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
  const started = { submission: toSubmission(row), epoch: row.epoch };
  return row.cancel_requested ? { ...started, isCancelRequested: true } : started;
}

export type RunRow = { granted: string; epoch: number };

export function toPlace({ granted, epoch }: RunRow): { grant: Grant; epoch: number } {
  return { grant: JSON.parse(granted) as Grant, epoch };
}

/**
 * Converts rows of orphaned executions, whose router died or released them, oldest first; their ids sort by
 * creation.
 */
export function toOrphaned(rows: readonly OrphanedRow[]): OrphanedExecution[] {
  return rows
    .map((row) => ({
      executionId: row.execution_id,
      project: row.project,
      timeoutMs: row.timeout_ms,
      epoch: row.epoch,
      grant: row.granted === null ? undefined : (JSON.parse(row.granted) as Grant),
      position: row.next_position,
    }))
    .sort((a, b) => (a.executionId < b.executionId ? -1 : 1));
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

export function toOutline({ status, execution_time_ms, bytes }: OutlineRow): Outline {
  return { status, executionTimeMs: execution_time_ms, bytes };
}

/**
 * The outline of an execution that was ended just now. It comes with the execution itself when that is small
 * and all its output is in `last`, the piece that was stored with the ending.
 */
export function outlineOfEnded(row: EndedRow, ending: Ending, last: OutputPiece, endedAtMs: number): Outline {
  const status = statusOf(ending);
  const { execution_time_ms: executionTimeMs, started_at_ms: startedAtMs, stored_bytes: bytes } = row;
  const outline: Outline = { status, executionTimeMs, bytes };
  if (last.position > 0 || bytes > LARGE_BYTES) return outline;
  const execution: Execution = {
    ...{ executionId: row.execution_id, project: row.project, createdAtMs: row.created_at_ms },
    ...{ executionTimeMs, stdout: last.stdout, stderr: last.stderr },
    state: { status, startedAtMs, endedAtMs, ending: { ...ending, executionTimeMs } },
  };
  return { ...outline, execution };
}

export type OwnRow = ClaimRow & { status: Status };

/** Converts rows of a router's own unfinished executions, oldest first; their ids sort by creation. */
export function toOwn(rows: readonly OwnRow[]): OwnExecution[] {
  return rows
    .map((row) => ({
      executionId: row.execution_id,
      project: row.project,
      hasStarted: row.status !== "pending",
    }))
    .sort((a, b) => (a.executionId < b.executionId ? -1 : 1));
}

export function toDeadLetter(row: DeadLetterRow): DeadLetter {
  return {
    executionId: row.execution_id,
    project: row.project,
    endReason: row.end_reason,
    error: row.error,
    createdAtMs: row.created_at_ms,
    endedAtMs: row.ended_at_ms,
    newestRetries: row.newest_retries?.split(" ") ?? [],
    retries: row.retries,
  };
}

export function toIdempotencyRecord({ fingerprint, execution_id }: KeyRow): IdempotencyRecord {
  return { fingerprint, executionId: execution_id ?? undefined };
}

export function toQueues(row: QueuesRow | undefined): Queues {
  return {
    ofProject: { pending: row?.project_pending ?? 0, unfinished: row?.project_unfinished ?? 0 },
    inTotal: { pending: row?.pending ?? 0, unfinished: row?.unfinished ?? 0 },
    otherProjects: row?.other_projects ?? 0,
  };
}

/**
 * Converts rows of claimed executions, oldest first. They are sorted here, because a database returns the
 * rows of an update in any order.
 */
export function toClaims(rows: readonly ClaimRow[]): Claim[] {
  return rows
    .map((row) => ({ executionId: row.execution_id, project: row.project }))
    .sort((a, b) => (a.executionId < b.executionId ? -1 : 1));
}

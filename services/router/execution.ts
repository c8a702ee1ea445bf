import { type EndReasonName, STATUS_BY_END_REASON, type TerminalStatus } from "#common/execution-names.ts";
import type { Submission } from "#common/submission/submission.ts";

/**
 * The worker that runs an execution, and the settings of that run. A router that takes the execution over needs
 * nothing else.
 */
export type Grant = {
  readonly workerId: string;
  readonly workerAddress: string;
  readonly secretsVersion: string;
  readonly llmTimeoutMs: number;
  readonly network: boolean;
};

/** An execution that this router may run. The epoch grows each time that a router takes the execution. */
export type Started = { readonly submission: Submission; readonly epoch: number };

export type LlmRequest = { readonly id: string; readonly prompt: string; readonly model: string };

/** Sanitized text of both output channels. */
export type Output = { readonly stdout: string; readonly stderr: string };

/** A piece of an execution's output. Positions grow by one; a piece that is written again keeps its position. */
export type OutputPiece = Output & { readonly position: number };

export const NO_OUTPUT: OutputPiece = { position: 0, stdout: "", stderr: "" };

/** How often one secret was redacted from one part of an execution. For operators only. */
export type Redaction = { readonly secret: string; readonly field: string; readonly count: number };

/** How many bytes of each output were cut. */
export type Truncated = { readonly stdout: number; readonly stderr: number };

/** How an execution ended. Only a completed one has a result and memory updates. */
export type Ending = {
  readonly reason: EndReasonName;
  /** Null exactly when the execution completed. */
  readonly error: string | null;
  /** JSON text. */
  readonly resultJson: string;
  /** JSON text. */
  readonly memoryUpdatesJson: string;
  readonly truncated: Truncated;
  /** Null when the script never started. */
  readonly executionTimeMs: number | null;
};

/** The state of an execution; each kind has only its own fields. */
export type State =
  | { readonly status: "pending" }
  | { readonly status: "running"; readonly startedAtMs: number }
  | { readonly status: "awaiting_llm"; readonly startedAtMs: number; readonly llmRequest: LlmRequest }
  | {
      readonly status: TerminalStatus;
      readonly startedAtMs: number | null;
      readonly endedAtMs: number;
      readonly ending: Ending;
    };

/** An execution as callers see it. */
export type Execution = Output & {
  readonly executionId: string;
  readonly project: string;
  readonly createdAtMs: number;
  /** Milliseconds of running so far as last recorded; null before the start. */
  readonly executionTimeMs: number | null;
  readonly state: State;
};

/** The terminal status that goes with an ending. */
export function statusOf(ending: Ending): TerminalStatus {
  return STATUS_BY_END_REASON[ending.reason];
}

/** An ending without a result: `error` says what happened and what to do next. */
export function failure(
  reason: Exclude<EndReasonName, "completed">,
  error: string,
  executionTimeMs: number | null = null,
  truncated: Truncated = { stdout: 0, stderr: 0 },
): Ending {
  return { reason, error, resultJson: "null", memoryUpdatesJson: "{}", truncated, executionTimeMs };
}

import { type EndReasonName, STATUS_BY_END_REASON, type TerminalStatus } from "#common/execution-names.ts";
import type { Submission } from "#common/submission/submission.ts";

/**
 * The worker that runs an execution, and the settings of that run. The store keeps the grant of a started
 * execution, because a router that takes the execution over needs it to reach the worker.
 */
export type Grant = {
  readonly workerId: string;
  readonly workerAddress: string;
  /** The version of the secret values that the worker gives to the script. */
  readonly secretsVersion: string;
  /** Milliseconds that the script may wait for a response to an llm request. */
  readonly llmTimeoutMs: number;
  /** Whether the run needs a network route through the egress service. */
  readonly network: boolean;
};

/**
 * An execution that this router has just changed from pending to running: the submission for the worker, and
 * the execution's epoch, a number that grows each time a router takes the execution.
 */
export type Started = {
  readonly submission: Submission;
  readonly epoch: number;
  /** True when a caller asked to cancel the execution before it was started. */
  readonly isCancelRequested?: true;
};

export type LlmRequest = { readonly id: string; readonly prompt: string; readonly model: string };

/** The text of stdout and stderr after the sanitizer has redacted it. */
export type Output = { readonly stdout: string; readonly stderr: string };

/**
 * A piece of an execution's output. `position` numbers the pieces of one execution from 0. A piece that is
 * written again, because the answer to its first write was lost, keeps its position.
 */
export type OutputPiece = Output & { readonly position: number };

export const NO_OUTPUT: OutputPiece = { position: 0, stdout: "", stderr: "" };

/**
 * How often (`count`) one secret was redacted from one text of an execution, such as stdout or the result
 * (`field`). Shown to operators only.
 */
export type Redaction = { readonly secret: string; readonly field: string; readonly count: number };

/**
 * How many bytes of stdout and of stderr are missing: cut because the output was too long, or dropped because
 * they could have been the beginning of a secret.
 */
export type Truncated = { readonly stdout: number; readonly stderr: number };

/** How an execution ended. Only a completed execution has a result and memory updates. */
export type Ending = {
  readonly reason: EndReasonName;
  /** The text that tells the caller what went wrong; null exactly when the execution completed. */
  readonly error: string | null;
  /** The script's result as JSON text; `null` when there is none. */
  readonly resultJson: string;
  /** The script's changes to its memory as JSON text; `{}` when there are none. */
  readonly memoryUpdatesJson: string;
  readonly truncated: Truncated;
  /** Milliseconds that the script ran, pauses left out; null when the script never started. */
  readonly executionTimeMs: number | null;
};

/** The state of an execution. Each status has only the fields that exist in that status. */
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

/** An execution with its texts, as the router's callers see it. */
export type Execution = Output & {
  readonly executionId: string;
  readonly project: string;
  readonly createdAtMs: number;
  /**
   * Milliseconds that the script has run so far, as last recorded, pauses left out; null before its start.
   */
  readonly executionTimeMs: number | null;
  readonly state: State;
};

/** The final status that an execution has with this ending. */
export function statusOf(ending: Ending): TerminalStatus {
  return STATUS_BY_END_REASON[ending.reason];
}

/**
 * Makes the ending of an execution that did not complete, so that it has no result. `error`: a text for the
 * caller that says what happened and what to do next. `executionTimeMs`: null when the script never started.
 */
export function failure(
  reason: Exclude<EndReasonName, "completed">,
  error: string,
  executionTimeMs: number | null = null,
  truncated: Truncated = { stdout: 0, stderr: 0 },
): Ending {
  return { reason, error, resultJson: "null", memoryUpdatesJson: "{}", truncated, executionTimeMs };
}

import { AirlockError } from "./errors.ts";
import type { Status } from "./execution-names.ts";

// Errors for requests that a service behind the gateway refuses. The gateway's mock uses them too, so that
// both refuse with the same words.

/**
 * The error for an unknown project. `usable`: the names of projects that accept executions. `others`: the
 * number of projects whose files have errors; an agent can do nothing with those.
 */
export function projectNotFound(usable: readonly string[], others = 0): AirlockError {
  const none =
    others > 0
      ? "No project can be used, because every project file has an error. Ask the operator to correct them."
      : "There is no project yet. Ask the operator to add a file NAME.yaml to the projects directory.";
  return new AirlockError(
    "project_not_found",
    usable.length > 0 ? `There is no project of this name. Use one of: ${usable.join(", ")}.` : none,
  );
}

export function projectHeld(project: string): AirlockError {
  return new AirlockError(
    "project_held",
    `Project "${project}" is held: its operator stopped it and keeps it down. Use another project, or ask the operator to start it again; nothing was run.`,
  );
}

export function idempotencyKeyReused(): AirlockError {
  return new AirlockError(
    "idempotency_key_reused",
    "This idempotency key was used for another request: project, code, timeout, settings or memory differ. Send the first request again as it was, or this one with a new key.",
  );
}

export function executionNotFound(): AirlockError {
  return new AirlockError(
    "execution_not_found",
    "There is no execution with this id. It may have been forgotten, after its retention time or to make room for newer ones; submit the script again as a new execution.",
  );
}

export function notAwaitingLlm(status: Status): AirlockError {
  return new AirlockError(
    "not_awaiting_llm",
    `The execution's status is ${status}, and an execution takes a response only while its status is awaiting_llm. Another response may have come first: read the execution again.`,
  );
}

/**
 * The error for a response to another llm request. `open`: the id of the llm request that waits for a
 * response.
 */
export function llmRequestMismatch(open: string): AirlockError {
  return new AirlockError(
    "llm_request_mismatch",
    `The open llm request is "${open}", not the one that this response names. Read llm_request again and respond to that one.`,
  );
}

export function alreadyEnded(status: Status): AirlockError {
  return new AirlockError(
    "already_ended",
    `The execution has already ended with the status ${status}, so there is nothing to cancel. Read the execution for its outcome.`,
  );
}

/**
 * The error for a retry of an execution that is no dead letter. `stands`: the end of a sentence about the
 * execution, such as "ended as timeout" or its status.
 */
export function notADeadLetter(stands: string): AirlockError {
  return new AirlockError(
    "not_a_dead_letter",
    `The execution ${stands}. Only executions that ended as output_withheld, worker_lost or start_failed can be retried; the list of dead letters has them. Submit any other script again as a new execution.`,
  );
}

/**
 * The error for a second retry of a dead letter. `newest`: the id of the execution that repeats it; undefined
 * when that is not known.
 */
export function alreadyRetried(newest: string | undefined): AirlockError {
  return new AirlockError(
    "already_retried",
    `The execution was retried as ${newest ?? "another one"}; read that one. To retry once more, send {"again": true}.`,
  );
}

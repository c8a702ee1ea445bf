import { AirlockError } from "#common/errors.ts";
import { STATUSES, type Status, statusFromProto } from "#common/execution-names.ts";
import { ExecutionStatus } from "#proto/execution.ts";
import type { OutputFrom } from "./store/store.ts";

export const MAX_WAIT_MS = 60_000;
const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 200;

/**
 * Checks `wait_ms`, the milliseconds that the router may hold a GetExecution call open until the execution
 * changes: 0 to 60,000. Throws `invalid_request` for any other value.
 */
export function readWait(waitMs: number): number {
  if (waitMs >= 0 && waitMs <= MAX_WAIT_MS) return waitMs;
  throw invalid(`wait_ms must be from 0 to ${MAX_WAIT_MS}, not ${waitMs}.`);
}

/**
 * Checks `output_from`, the bytes of stdout and stderr that the caller has already and that the response
 * leaves out. Undefined: the response has all output. Throws `invalid_request` when a number is negative.
 */
export function readOutputFrom(from: OutputFrom | undefined): OutputFrom | undefined {
  if (!from || (from.stdout >= 0 && from.stderr >= 0)) return from;
  throw invalid(`output_from must not be less than 0: stdout is ${from.stdout}, stderr is ${from.stderr}.`);
}

/**
 * Reads the status that a list of executions is filtered by; undefined: executions with any status. Throws
 * `invalid_request` for an unknown status.
 */
export function readStatus(value: ExecutionStatus): Status | undefined {
  const status = statusFromProto(value);
  if (status !== undefined || value === ExecutionStatus.UNSPECIFIED) return status;
  throw invalid(`status must be one of ${STATUSES.join(", ")}, or unspecified for all, not ${value}.`);
}

/**
 * Reads how many executions one page of a list has: 1 to 200; 0 means 50. Throws `invalid_request` for any
 * other value.
 */
export function readLimit(limit: number): number {
  if (limit === 0) return DEFAULT_LIMIT;
  if (limit > 0 && limit <= MAX_LIMIT) return limit;
  throw invalid(`limit must be from 1 to ${MAX_LIMIT}, or 0 for ${DEFAULT_LIMIT}, not ${limit}.`);
}

function invalid(message: string): AirlockError {
  return new AirlockError("invalid_request", message);
}

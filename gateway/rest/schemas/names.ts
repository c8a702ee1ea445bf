import { ERROR_RULES, type ErrorCode, RUN_CODES } from "#common/errors.ts";
import { END_REASONS, STATUSES } from "#common/execution-names.ts";

/**
 * Error codes that no REST client receives: those of calls between services, and `cancelled`, because a
 * client whose request is cancelled has disconnected.
 */
const UNSEEN = ["cancelled", ...RUN_CODES] as const satisfies readonly ErrorCode[];

export const EXECUTION_STATUS = {
  $id: "ExecutionStatus",
  type: "string",
  enum: STATUSES,
  description: "completed, error and timeout are final.",
} as const;

export const END_REASON = {
  $id: "EndReason",
  type: "string",
  enum: END_REASONS,
  description: "How an execution ended; each belongs to one final status.",
} as const;

export const PROBLEM_CODE = {
  $id: "ProblemCode",
  type: "string",
  enum: (Object.keys(ERROR_RULES) as ErrorCode[]).filter(
    (code) => !(UNSEEN as readonly ErrorCode[]).includes(code),
  ),
  description: "What a program branches on.",
} as const;

export const EXECUTION_ID = { type: "string", format: "uuid" } as const;
export const INSTANT = { type: "string", format: "date-time" } as const;

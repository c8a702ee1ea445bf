import { EndReason, ExecutionStatus } from "#proto/execution.ts";

/** The six statuses of an execution, as REST, the store and the logs spell them. */
export const STATUSES = ["pending", "running", "awaiting_llm", "completed", "error", "timeout"] as const;
export type Status = (typeof STATUSES)[number];

export const TERMINAL_STATUSES = ["completed", "error", "timeout"] as const satisfies readonly Status[];
export type TerminalStatus = (typeof TERMINAL_STATUSES)[number];

/** All reasons for which an execution can end, each with the terminal status that it belongs to. */
export const STATUS_BY_END_REASON = {
  completed: "completed",
  script_error: "error",
  exit_nonzero: "error",
  timeout: "timeout",
  llm_timeout: "timeout",
  cancelled: "error",
  out_of_memory: "error",
  killed: "error",
  result_invalid: "error",
  result_too_large: "error",
  output_withheld: "error",
  worker_lost: "error",
  start_failed: "error",
} as const satisfies Record<string, TerminalStatus>;
export type EndReasonName = keyof typeof STATUS_BY_END_REASON;
export const END_REASONS = Object.keys(STATUS_BY_END_REASON) as EndReasonName[];

/**
 * The end reasons of executions that failed through Airlock's or its operator's fault; such an execution is a
 * dead letter.
 */
export const DEAD_LETTER_REASONS = [
  "output_withheld",
  "worker_lost",
  "start_failed",
] as const satisfies readonly EndReasonName[];

export function isTerminal(status: Status): status is TerminalStatus {
  return (TERMINAL_STATUSES as readonly Status[]).includes(status);
}

/** The protobuf enum value of a status. */
export function statusToProto(status: Status): ExecutionStatus {
  return ExecutionStatus[status.toUpperCase() as Uppercase<Status>];
}

/** The status of a protobuf enum value; undefined for a value without a name, such as UNSPECIFIED. */
export function statusFromProto(value: ExecutionStatus): Status | undefined {
  return STATUSES.find((status) => statusToProto(status) === value);
}

/** The protobuf enum value of an end reason. */
export function endReasonToProto(reason: EndReasonName): EndReason {
  return EndReason[reason.toUpperCase() as Uppercase<EndReasonName>];
}

/** The end reason of a protobuf enum value; undefined for a value without a name, such as UNSPECIFIED. */
export function endReasonFromProto(value: EndReason): EndReasonName | undefined {
  return END_REASONS.find((reason) => endReasonToProto(reason) === value);
}

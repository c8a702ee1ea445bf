import { status as GrpcStatus } from "@grpc/grpc-js";
import { systemReason } from "./system-reason.ts";

type ErrorRule = {
  readonly grpc: GrpcStatus;
  readonly http: number;
  /** Short and constant: the `title` of the problem document. */
  readonly title: string;
  /** After how long the same call may be sent again as it is: 0 for at once; undefined when it would not do better. */
  readonly retryAfterSeconds: number | undefined;
};

// A queue takes the time of some runs to move, which nobody knows; what is away is mostly back within seconds.
const QUEUE_MOVES_SECONDS = 5;
const IS_BACK_SECONDS = 2;

/**
 * Every error that a caller can meet, with what it becomes on each edge.
 * HTTP statuses follow RFC 9110, the documents built from them RFC 9457.
 */
export const ERROR_RULES = {
  invalid_json: rule(GrpcStatus.INVALID_ARGUMENT, 400, "The body is not valid JSON"),
  invalid_request: rule(GrpcStatus.INVALID_ARGUMENT, 422, "The request is not valid"),
  malformed_http: rule(GrpcStatus.INVALID_ARGUMENT, 400, "The request is not valid HTTP"),
  request_timeout: rule(GrpcStatus.DEADLINE_EXCEEDED, 408, "The request did not arrive in time", 0),
  headers_too_large: rule(GrpcStatus.OUT_OF_RANGE, 431, "The request headers are too large"),
  route_not_found: rule(GrpcStatus.UNIMPLEMENTED, 404, "No such route"),
  method_not_allowed: rule(GrpcStatus.UNIMPLEMENTED, 405, "Method not allowed"),
  unsupported_media_type: rule(GrpcStatus.INVALID_ARGUMENT, 415, "Unsupported media type"),
  payload_too_large: rule(GrpcStatus.OUT_OF_RANGE, 413, "The request is too large"),
  project_not_found: rule(GrpcStatus.NOT_FOUND, 404, "No such project"),
  execution_not_found: rule(GrpcStatus.NOT_FOUND, 404, "No such execution"),
  execution_forgotten: rule(GrpcStatus.NOT_FOUND, 410, "The execution has been forgotten"),
  idempotency_key_reused: rule(
    GrpcStatus.INVALID_ARGUMENT,
    422,
    "The idempotency key belongs to another request",
  ),
  project_invalid: rule(GrpcStatus.FAILED_PRECONDITION, 409, "The project file has an error"),
  project_held: rule(GrpcStatus.FAILED_PRECONDITION, 409, "The project is kept down"),
  not_awaiting_llm: rule(GrpcStatus.FAILED_PRECONDITION, 409, "The execution does not wait for an answer"),
  llm_request_mismatch: rule(GrpcStatus.FAILED_PRECONDITION, 409, "The answer is for another question"),
  already_ended: rule(GrpcStatus.FAILED_PRECONDITION, 409, "The execution has already ended"),
  not_a_dead_letter: rule(
    GrpcStatus.FAILED_PRECONDITION,
    409,
    "The execution did not end through Airlock's fault",
  ),
  already_retried: rule(GrpcStatus.FAILED_PRECONDITION, 409, "The execution has already been retried"),
  queue_full: rule(GrpcStatus.RESOURCE_EXHAUSTED, 429, "The queue is full", QUEUE_MOVES_SECONDS),
  storage_full: rule(
    GrpcStatus.RESOURCE_EXHAUSTED,
    429,
    "No room to store the execution",
    QUEUE_MOVES_SECONDS,
  ),
  overloaded: rule(GrpcStatus.RESOURCE_EXHAUSTED, 503, "Too much is being sent at once", IS_BACK_SECONDS),
  start_failed: rule(GrpcStatus.ABORTED, 503, "The workers cannot be started"),
  output_withheld: rule(GrpcStatus.DATA_LOSS, 503, "Output is withheld"),
  worker_lost: rule(GrpcStatus.ABORTED, 503, "The worker was lost"),
  run_unknown: rule(GrpcStatus.NOT_FOUND, 404, "The worker has never had the run"),
  run_exists: rule(GrpcStatus.ALREADY_EXISTS, 409, "The worker has the run, or had it"),
  run_over: rule(GrpcStatus.FAILED_PRECONDITION, 409, "The worker has ended the run"),
  run_superseded: rule(GrpcStatus.ABORTED, 409, "Another router follows the run"),
  permission_denied: rule(GrpcStatus.PERMISSION_DENIED, 403, "Not permitted"),
  host_not_allowed: rule(GrpcStatus.PERMISSION_DENIED, 403, "This host name is not served"),
  origin_not_allowed: rule(GrpcStatus.PERMISSION_DENIED, 403, "Web pages of other sites may not call"),
  cancelled: rule(GrpcStatus.CANCELLED, 499, "The caller went away"),
  deadline_exceeded: rule(GrpcStatus.DEADLINE_EXCEEDED, 504, "Not finished in time", IS_BACK_SECONDS),
  unavailable: rule(GrpcStatus.UNAVAILABLE, 503, "A part of Airlock cannot be reached", IS_BACK_SECONDS),
  internal: rule(GrpcStatus.INTERNAL, 500, "Airlock failed"),
} as const satisfies Record<string, ErrorRule>;

export type ErrorCode = keyof typeof ERROR_RULES;

/** What workers say to routers of a run; no other caller meets these codes. */
export const RUN_CODES = [
  "run_unknown",
  "run_exists",
  "run_over",
  "run_superseded",
] as const satisfies readonly ErrorCode[];

function rule(grpc: GrpcStatus, http: number, title: string, retryAfterSeconds?: number): ErrorRule {
  return { grpc, http, title, retryAfterSeconds };
}

/**
 * Who says the error: this process, the service that was called, or the transport on the way to it, which tells nothing
 * of what the service did.
 */
export type ErrorOrigin = "local" | "peer" | "transport";

type ErrorOptions = {
  readonly logDetail?: string;
  readonly cause?: unknown;
  readonly field?: string;
  /** "local" unless it is given. Only `fromGrpcError` gives another. */
  readonly origin?: ErrorOrigin;
};

/**
 * The one error type. `message` may be shown to any caller: it says what was wrong, what is allowed and
 * what to do next, and never holds a secret or a path. `logDetail` and `cause` are for logs only.
 */
export class AirlockError extends Error {
  readonly code: ErrorCode;
  readonly origin: ErrorOrigin;
  /** Undefined when the message says all. */
  readonly logDetail: string | undefined;
  /** The field of the request that is to blame; undefined: none alone. */
  readonly field: string | undefined;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "AirlockError";
    this.code = code;
    this.origin = options.origin ?? "local";
    this.logDetail = options.logDetail;
    this.field = options.field;
  }
}

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === "string" && Object.hasOwn(ERROR_RULES, value);
}

// File descriptors of this process or of the machine, memory, processes.
const SHORTAGES: ReadonlySet<unknown> = new Set(["EMFILE", "ENFILE", "ENOMEM", "EAGAIN"]);

/** Whether the system refused because this machine lacks something for the moment: the same may go well in a while. */
export function isShortage(error: unknown): boolean {
  return error instanceof Error && SHORTAGES.has((error as NodeJS.ErrnoException).code);
}

/** The error of a call that its caller gave up. */
export function callCancelled(cause?: unknown): AirlockError {
  return new AirlockError("cancelled", "The call was cancelled.", { cause });
}

/**
 * Any thrown value as an AirlockError:
 *
 * - an AirlockError is itself; so is one for which a signal was aborted
 * - an AbortError, as of a signal without a reason of ours, is `cancelled`
 * - a TimeoutError, as of `AbortSignal.timeout`, is `deadline_exceeded`
 * - a shortage of this machine is `unavailable`, because callers wait for what is unavailable
 * - everything else is `internal`: it was not meant for callers
 */
export function asAirlockError(error: unknown): AirlockError {
  if (error instanceof AirlockError) return error;
  if (isNamed(error, "AbortError")) {
    // Node's own functions throw an AbortError whose cause is the signal's reason.
    const { cause } = error;
    return cause instanceof AirlockError || isNamed(cause, "TimeoutError")
      ? asAirlockError(cause)
      : callCancelled(error);
  }
  if (isNamed(error, "TimeoutError")) {
    return new AirlockError("deadline_exceeded", "Airlock did not finish this in time. Try again.", {
      cause: error,
    });
  }
  if (isShortage(error)) {
    return new AirlockError(
      "unavailable",
      "The machine that Airlock runs on has no file descriptors, memory or processes left at the moment. Try again in a few seconds.",
      { logDetail: systemReason(error), cause: error },
    );
  }
  return new AirlockError(
    "internal",
    "Airlock failed while handling this call; the operator finds why in the log.",
    {
      cause: error,
    },
  );
}

function isNamed(error: unknown, name: "AbortError" | "TimeoutError"): error is Error {
  return error instanceof Error && error.name === name;
}

/** Whether `error` is an AirlockError with this code. */
export function hasCode(error: unknown, code: ErrorCode): error is AirlockError {
  return error instanceof AirlockError && error.code === code;
}

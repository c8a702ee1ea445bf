import { status as GrpcStatus } from "@grpc/grpc-js";
import { systemReason } from "./system-reason.ts";

type ErrorRule = {
  readonly grpc: GrpcStatus;
  readonly http: number;
  /** The `title` of the HTTP problem document: short, and the same for every error of a code. */
  readonly title: string;
  /**
   * Seconds after which the same call may be sent again unchanged: 0 means at once, undefined that it would
   * fail again.
   */
  readonly retryAfterSeconds: number | undefined;
};

// An estimate of the seconds until some runs have ended, so that a full queue has space again.
const QUEUE_MOVES_SECONDS = 5;
// The longest that a client waits until its requests are counted from 0 again; most errors name a shorter time.
const RATE_WINDOW_SECONDS = 60;
// An estimate of the seconds until an unreachable or overloaded service answers again.
const IS_BACK_SECONDS = 2;

/**
 * Every error that a caller can get, with its gRPC status, its HTTP status and its retry delay. HTTP statuses
 * follow RFC 9110, the problem documents RFC 9457.
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
  project_held: rule(GrpcStatus.FAILED_PRECONDITION, 409, "The project is held"),
  not_awaiting_llm: rule(GrpcStatus.FAILED_PRECONDITION, 409, "The execution does not wait for a response"),
  llm_request_mismatch: rule(GrpcStatus.FAILED_PRECONDITION, 409, "The response is for another llm request"),
  already_ended: rule(GrpcStatus.FAILED_PRECONDITION, 409, "The execution has already ended"),
  not_a_dead_letter: rule(
    GrpcStatus.FAILED_PRECONDITION,
    409,
    "The execution did not end through Airlock's fault",
  ),
  already_retried: rule(GrpcStatus.FAILED_PRECONDITION, 409, "The execution has already been retried"),
  queue_full: rule(GrpcStatus.RESOURCE_EXHAUSTED, 429, "The queue is full", QUEUE_MOVES_SECONDS),
  rate_limited: rule(GrpcStatus.RESOURCE_EXHAUSTED, 429, "Too many requests", RATE_WINDOW_SECONDS),
  storage_full: rule(
    GrpcStatus.RESOURCE_EXHAUSTED,
    429,
    "The store has no room for the execution",
    QUEUE_MOVES_SECONDS,
  ),
  overloaded: rule(
    GrpcStatus.RESOURCE_EXHAUSTED,
    503,
    "Too many large requests or answers at once",
    IS_BACK_SECONDS,
  ),
  start_failed: rule(GrpcStatus.ABORTED, 503, "The workers cannot be started"),
  output_withheld: rule(GrpcStatus.DATA_LOSS, 503, "Output is withheld"),
  worker_lost: rule(GrpcStatus.ABORTED, 503, "The worker was lost"),
  run_unknown: rule(GrpcStatus.NOT_FOUND, 404, "The worker has never had the run"),
  run_exists: rule(GrpcStatus.ALREADY_EXISTS, 409, "The worker has the run, or had it"),
  run_over: rule(GrpcStatus.FAILED_PRECONDITION, 409, "The worker has ended the run"),
  run_superseded: rule(GrpcStatus.ABORTED, 409, "Another router follows the run"),
  unauthenticated: rule(GrpcStatus.UNAUTHENTICATED, 401, "No valid credential"),
  issuer_unavailable: rule(
    GrpcStatus.UNAVAILABLE,
    503,
    "The issuer of the token cannot be reached",
    IS_BACK_SECONDS,
  ),
  no_grant: rule(GrpcStatus.PERMISSION_DENIED, 403, "Known, but not granted anything"),
  tenant_required: rule(GrpcStatus.INVALID_ARGUMENT, 400, "The tenant must be named"),
  login_failed: rule(GrpcStatus.UNAUTHENTICATED, 401, "The login was not completed"),
  https_required: rule(GrpcStatus.PERMISSION_DENIED, 403, "HTTPS is needed"),
  key_not_found: rule(GrpcStatus.NOT_FOUND, 404, "No such key"),
  grant_not_found: rule(GrpcStatus.NOT_FOUND, 404, "No such grant"),
  principal_not_found: rule(GrpcStatus.NOT_FOUND, 404, "No such principal"),
  last_admin: rule(GrpcStatus.FAILED_PRECONDITION, 409, "No admin would be left"),
  principal_exists: rule(GrpcStatus.ALREADY_EXISTS, 409, "The name is taken"),
  permission_denied: rule(GrpcStatus.PERMISSION_DENIED, 403, "Not permitted"),
  host_not_allowed: rule(GrpcStatus.PERMISSION_DENIED, 403, "This host name is not served"),
  origin_not_allowed: rule(
    GrpcStatus.PERMISSION_DENIED,
    403,
    "Web pages of other sites may not call Airlock",
  ),
  cancelled: rule(GrpcStatus.CANCELLED, 499, "The caller went away"),
  deadline_exceeded: rule(GrpcStatus.DEADLINE_EXCEEDED, 504, "Not finished in time", IS_BACK_SECONDS),
  unavailable: rule(GrpcStatus.UNAVAILABLE, 503, "A part of Airlock cannot be reached", IS_BACK_SECONDS),
  internal: rule(GrpcStatus.INTERNAL, 500, "Airlock failed"),
} as const satisfies Record<string, ErrorRule>;

export type ErrorCode = keyof typeof ERROR_RULES;

/** The codes with which a worker answers a router about a run; no other caller gets them. */
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
 * The source of an error: this process ("local"), the service that was called ("peer"), or the connection to
 * it ("transport"). An error of the transport does not say what the called service did.
 */
export type ErrorOrigin = "local" | "peer" | "transport";

type ErrorOptions = {
  readonly logDetail?: string;
  readonly cause?: unknown;
  readonly field?: string;
  /** "local" when undefined. Only `fromGrpcError` sets another origin. */
  readonly origin?: ErrorOrigin;
  readonly retryAfterSeconds?: number;
};

/**
 * The only error type of Airlock. `message` may be shown to every caller: it says what was wrong, what is
 * allowed and what to do next, and never holds a secret or a path. `logDetail` and `cause` are for logs only.
 */
export class AirlockError extends Error {
  readonly code: ErrorCode;
  readonly origin: ErrorOrigin;
  /** More about the error, for the log only; undefined when the message says all. */
  readonly logDetail: string | undefined;
  /** The field of the request that is wrong; undefined when no single field is. */
  readonly field: string | undefined;
  /** Seconds after which the same call may be sent again; undefined: as the rule of the code says. */
  readonly retryAfterSeconds: number | undefined;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "AirlockError";
    this.code = code;
    this.origin = options.origin ?? "local";
    this.logDetail = options.logDetail;
    this.field = options.field;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === "string" && Object.hasOwn(ERROR_RULES, value);
}

// Codes for a lack of file descriptors (of this process, of the machine), memory and processes.
const SHORTAGES: ReadonlySet<unknown> = new Set(["EMFILE", "ENFILE", "ENOMEM", "EAGAIN"]);

/**
 * Whether the operating system refused because this machine lacks something for the moment, so that the same
 * operation may succeed later.
 */
export function isShortage(error: unknown): boolean {
  return error instanceof Error && SHORTAGES.has((error as NodeJS.ErrnoException).code);
}

/** The error of a call that its caller cancelled. */
export function callCancelled(cause?: unknown): AirlockError {
  return new AirlockError("cancelled", "The call was cancelled.", { cause });
}

/**
 * Turns any thrown value into an AirlockError:
 *
 * - an AirlockError stays as it is, also when it is the reason of an aborted signal
 * - an AbortError, from a signal without such a reason, becomes `cancelled`
 * - a TimeoutError, such as that of `AbortSignal.timeout`, becomes `deadline_exceeded`
 * - a shortage of this machine becomes `unavailable`, because callers retry after that code
 * - everything else becomes `internal`, because its message was not written for callers
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
    return new AirlockError("deadline_exceeded", "Airlock did not finish the call in time. Try again.", {
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
    "Airlock failed while handling this call; the operator finds the reason in the log.",
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

import { Metadata, type ServiceError, type StatusObject, status } from "@grpc/grpc-js";
import {
  AirlockError,
  asAirlockError,
  callCancelled,
  ERROR_RULES,
  type ErrorCode,
  hasCode,
  isErrorCode,
} from "../errors.ts";
import { DETAILS_KEY, withRetryInfo } from "./retry-info.ts";

const CODE_KEY = "airlock-code";
const FIELD_KEY = "airlock-field";

// Airlock's code for a gRPC status that grpc-js made itself, because of a broken connection, a deadline or a
// limit, and not a handler of Airlock. A status that is not listed becomes `internal`.
const CODE_BY_STATUS: Partial<Record<status, ErrorCode>> = {
  [status.CANCELLED]: "cancelled",
  [status.INVALID_ARGUMENT]: "invalid_request",
  [status.DEADLINE_EXCEEDED]: "deadline_exceeded",
  [status.PERMISSION_DENIED]: "permission_denied",
  [status.UNAUTHENTICATED]: "permission_denied",
  [status.RESOURCE_EXHAUSTED]: "payload_too_large",
  [status.UNAVAILABLE]: "unavailable",
};

/**
 * The gRPC status that a caller gets for `error`. It has only the error's `code`, `field` and `message`,
 * which every caller may see, and a retry delay when the same call may succeed later.
 */
export function toGrpcStatus(error: unknown): StatusObject {
  const known = asAirlockError(error);
  const { grpc: code, retryAfterSeconds } = ERROR_RULES[known.code];
  const status = { code, details: known.message };
  const metadata = new Metadata();
  metadata.set(CODE_KEY, known.code);
  if (known.field !== undefined) metadata.set(FIELD_KEY, known.field);
  if (retryAfterSeconds) metadata.set(DETAILS_KEY, withRetryInfo(status, retryAfterSeconds));
  return { ...status, metadata };
}

export function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && "metadata" in error;
}

/**
 * Maps an error of a grpc-js client to an AirlockError. An error that an Airlock service sent keeps its code
 * and message, and its origin is "peer". An error of the transport has the origin "transport", and its
 * message names the called service as `peer`.
 */
export function fromGrpcError(error: unknown, peer: string): AirlockError {
  if (error instanceof AirlockError) return error;
  if (!isServiceError(error)) return asAirlockError(error);
  const sent = error.metadata?.get(CODE_KEY)[0];
  if (isErrorCode(sent)) {
    const field = error.metadata.get(FIELD_KEY)[0];
    return new AirlockError(sent, error.details, {
      origin: "peer",
      ...(typeof field === "string" && { field }),
    });
  }
  const code = isConnectionBreak(error) ? "unavailable" : (CODE_BY_STATUS[error.code] ?? "internal");
  return new AirlockError(code, describe(code, peer), {
    origin: "transport",
    logDetail: error.details,
    cause: error,
  });
}

/**
 * Whether the connection broke during a call. grpc-js reports INTERNAL, not UNAVAILABLE, when the server's
 * process ends during a stream.
 */
function isConnectionBreak({ code, details }: Pick<ServiceError, "code" | "details">): boolean {
  return (
    code === status.UNAVAILABLE || (code === status.INTERNAL && details.startsWith("Received RST_STREAM"))
  );
}

/**
 * Whether a call failed because its connection broke or could not be made. The caller then does not know
 * whether the server has done the work.
 */
export function isConnectionLost(error: unknown): boolean {
  return hasCode(error, "unavailable") && error.origin === "transport";
}

/**
 * Whether a stopping server refused the call before any handler saw it, so that repeating the call is safe.
 * grpc-js marks such an error only by this text.
 */
export function wasRefused({ code, details }: Pick<ServiceError, "code" | "details">): boolean {
  return code === status.UNAVAILABLE && details === "Stream refused by server";
}

function describe(code: ErrorCode, peer: string): string {
  switch (code) {
    case "cancelled":
      return callCancelled().message;
    case "deadline_exceeded":
      return `The ${peer} did not answer in time. Try again.`;
    case "invalid_request":
      return `The ${peer} did not accept the request.`;
    case "permission_denied":
      return `The ${peer} does not accept calls from this service.`;
    case "payload_too_large":
      return `A message to or from the ${peer} is too large.`;
    case "unavailable":
      return `The ${peer} cannot be reached. Try again in a few seconds.`;
    default:
      return `The ${peer} failed; the operator finds the reason in the log.`;
  }
}

import type { components } from "../gen/openapi.ts";
import type { HttpAnswer } from "./transport.ts";

type Problem = components["schemas"]["Problem"];

/**
 * What went wrong: a code of Airlock's problem documents, or one of the client's own:
 *
 * - `unreachable`: the connection could not be made, or broke before the answer was complete
 * - `timeout`: there was no answer, or no outcome, within the time that the call may take
 * - `unexpected_answer`: an answer that Airlock does not give, such as the error page of a proxy
 */
export type ApiErrorCode = Problem["code"] | "unreachable" | "timeout" | "unexpected_answer";

type Facts = {
  readonly url: string;
  readonly attempts: number;
  readonly status?: number | undefined;
  readonly errors?: Problem["errors"];
  readonly retryAfterSeconds?: number | undefined;
  readonly cause?: unknown;
};

/** The failure of a call. `message` says what was wrong, what is allowed and what to do next. */
export class ApiError extends Error {
  readonly code: ApiErrorCode;
  /** The address of the Airlock that was called, without credentials. */
  readonly url: string;
  /** The HTTP status; undefined when there was no answer. */
  readonly status: number | undefined;
  /** The fields of the request that are to blame, each with its own sentence; empty when no field is. */
  readonly errors: readonly { readonly field: string; readonly message: string }[];
  /** Seconds after which the same request may succeed; undefined when the answer names none. */
  readonly retryAfterSeconds: number | undefined;
  /** How often the request was sent. */
  readonly attempts: number;

  constructor(code: ApiErrorCode, message: string, facts: Facts) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = "ApiError";
    this.code = code;
    this.url = facts.url;
    this.status = facts.status;
    this.errors = facts.errors ?? [];
    this.retryAfterSeconds = facts.retryAfterSeconds;
    this.attempts = facts.attempts;
  }

  /** The same as `message`, under its name in problem documents. */
  get detail(): string {
    return this.message;
  }
}

/** The error that an answer with another status than 2xx stands for. */
export function errorOfAnswer(answer: HttpAnswer, url: string, attempts: number): ApiError {
  const { status } = answer;
  const facts = { url, attempts, status, retryAfterSeconds: secondsIn(answer.header("retry-after")) };
  if (status === 0 || (status >= 300 && status < 400)) {
    // A browser shows neither the status of a redirect nor its target.
    const location = answer.header("location");
    const target =
      location !== undefined && URL.canParse(location, url) ? new URL(location, url).origin : undefined;
    const message = `The server at ${url} redirects to ${target ?? "another address"}, which is not followed. If Airlock is there, use that address.`;
    return new ApiError("unexpected_answer", message, facts);
  }
  const problem = problemIn(answer.text);
  if (!problem) {
    const message = `The server at ${url} answered with HTTP status ${status}, and not as Airlock does.`;
    return new ApiError("unexpected_answer", message, facts);
  }
  const { code, detail, errors } = problem;
  return new ApiError(code, detail, { ...facts, errors });
}

/** The error of a request that has no complete answer, because its connection failed. */
export function unreachable(url: string, attempts: number, cause: unknown): ApiError {
  const reason = systemCode(cause);
  const message = `Airlock at ${url} cannot be reached${reason ? ` (${reason})` : ""}.`;
  return new ApiError("unreachable", message, { url, attempts, cause });
}

function problemIn(text: string): Problem | undefined {
  try {
    const problem: Partial<Problem> | null = JSON.parse(text);
    const isProblem = typeof problem?.code === "string" && typeof problem.detail === "string";
    return isProblem ? (problem as Problem) : undefined;
  } catch {
    return undefined;
  }
}

/** Reads Retry-After, which is a number of seconds or a date (RFC 9110). */
function secondsIn(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1_000;
  return Number.isNaN(seconds) ? undefined : Math.max(0, seconds);
}

// Finds a code such as ECONNREFUSED. `fetch` puts the error of the system, which has the code, into the cause
// of its own error.
function systemCode(error: unknown): string | undefined {
  const { code, cause } = (error ?? {}) as { code?: unknown; cause?: unknown };
  if (typeof code === "string") return code;
  return cause === undefined ? undefined : systemCode(cause);
}

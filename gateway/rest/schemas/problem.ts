import { ERROR_RULES, type ErrorCode } from "#common/errors.ts";
import { PROBLEM_MEDIA_TYPE } from "../problems.ts";
import { PROBLEM_CODE } from "./names.ts";
import { RATE_HEADERS } from "./rate-headers.ts";

/** Errors that any path and method can meet before a route is chosen. */
const OUTSIDE_ROUTES = [
  "malformed_http",
  "headers_too_large",
  "request_timeout",
  "route_not_found",
  "method_not_allowed",
  "internal",
] as const satisfies readonly ErrorCode[];
/** Errors that every route can answer before its handler runs. */
const BEFORE_ROUTES = [
  "host_not_allowed",
  "origin_not_allowed",
  "unauthenticated",
  "rate_limited",
  "no_grant",
  "tenant_required",
  "permission_denied",
  "issuer_unavailable",
  "unavailable",
] as const satisfies readonly ErrorCode[];
/** Errors that any call to a service behind the gateway can end in. */
export const SERVICE_CODES = [
  "permission_denied",
  "unavailable",
  "deadline_exceeded",
] as const satisfies readonly ErrorCode[];
/** Errors that any route with a request body can answer. */
export const BODY_CODES = [
  "invalid_json",
  "invalid_request",
  "payload_too_large",
  "unsupported_media_type",
  "overloaded",
] as const satisfies readonly ErrorCode[];

export const PROBLEM = {
  $id: "Problem",
  type: "object",
  description: "RFC 9457. `detail` says what was wrong, what is allowed and what to do next.",
  required: ["type", "title", "status", "detail", "code"],
  properties: {
    type: { type: "string", examples: ["urn:airlock:problem:invalid_request"] },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string" },
    code: PROBLEM_CODE,
    errors: {
      type: "array",
      description: "What is wrong field by field, where fields are to blame.",
      items: {
        type: "object",
        required: ["field", "message"],
        properties: { field: { type: "string" }, message: { type: "string" } },
      },
    },
    services: {
      type: "object",
      description: "Only from GET /ready: each service and whether it is ready.",
      additionalProperties: { type: "string" },
    },
  },
} as const;

/**
 * The OpenAPI responses for these error codes by HTTP status, and `default` for errors that can occur outside
 * routes.
 */
export function problemResponses(...own: readonly ErrorCode[]): Record<string, object> {
  const codes = [...new Set([...own, ...BEFORE_ROUTES])];
  const statuses = [...new Set(codes.map((code) => ERROR_RULES[code].http))].sort();
  const byStatus = statuses.map((status) => [
    String(status),
    problemResponse(codes.filter((code) => ERROR_RULES[code].http === status)),
  ]);
  return { ...Object.fromEntries(byStatus), default: problemResponse(OUTSIDE_ROUTES) };
}

function problemResponse(codes: readonly ErrorCode[]): object {
  const retry = codes.some((code) => ERROR_RULES[code].retryAfterSeconds);
  const examples = codes.map((code) => [code, { summary: ERROR_RULES[code].title, value: example(code) }]);
  return {
    description: codes.map((code) => `\`${code}\`: ${ERROR_RULES[code].title}.`).join(" "),
    ...(retry
      ? {
          headers: {
            "Retry-After": {
              type: "integer",
              description: "Seconds to wait; without it the same request would not do better.",
            },
            ...(codes.includes("rate_limited") && RATE_HEADERS),
          },
        }
      : {}),
    content: {
      [PROBLEM_MEDIA_TYPE]: {
        schema: PROBLEM,
        examples: Object.fromEntries(examples),
      },
    },
  };
}

function example(code: ErrorCode): object {
  const { http, title } = ERROR_RULES[code];
  return { type: `urn:airlock:problem:${code}`, title, status: http, detail: `${title}.`, code };
}

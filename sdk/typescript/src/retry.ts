import type { ApiError } from "./api-error.ts";

/**
 * The rules by which a request that failed is sent again. Requests that could take effect twice are never
 * sent again.
 */
export type RetryPolicy = {
  /** Milliseconds after the first failure during which the request is sent again. */
  readonly forMs: number;
  /** Milliseconds before the first repetition; doubled before each further one, up to `maxDelayMs`. */
  readonly delayMs: number;
  /**
   * Milliseconds of the longest delay between two attempts, unless the answer's Retry-After asks for more.
   */
  readonly maxDelayMs: number;
  /** Called before each repetition, with the failure that it repeats. */
  readonly onRetry?: (error: ApiError) => void;
};

/**
 * The policy of clients and calls that name none. 30 seconds are long enough for a restart of Airlock, and
 * for a full queue to move on a few times.
 */
export const DEFAULT_RETRY: RetryPolicy = { forMs: 30_000, delayMs: 250, maxDelayMs: 5_000 };

// HTTP statuses by which a proxy says that the server behind it does not answer, and 429, by which it limits
// requests.
const PROXY_STATUSES: readonly (number | undefined)[] = [429, 502, 503, 504];

/**
 * Milliseconds to wait before the request is sent again. Undefined when it must not be: it would fail the
 * same way, or the policy's time `forMs` would be over by then.
 */
export function retryDelay(
  policy: RetryPolicy,
  error: ApiError,
  failedForMs: number,
  random: () => number = Math.random,
): number | undefined {
  if (!mayPass(error)) return undefined;
  const backOffMs = Math.min(policy.maxDelayMs, policy.delayMs * 2 ** (error.attempts - 1));
  // Each delay is shortened by a random part, up to a quarter, so that clients whose requests failed at the
  // same moment do not all send them again at the same moment.
  const spreadMs = backOffMs * (0.75 + random() / 4);
  const delayMs = Math.max(spreadMs, (error.retryAfterSeconds ?? 0) * 1_000);
  return failedForMs + delayMs > policy.forMs ? undefined : delayMs;
}

/** Whether the same request may succeed later, judging by its error. */
function mayPass({ code, status, retryAfterSeconds }: ApiError): boolean {
  if (code === "unreachable" || code === "timeout" || code === "request_timeout") return true;
  // Airlock sends Retry-After with each error that may be gone later, and with no other error.
  if (retryAfterSeconds !== undefined) return true;
  return code === "unexpected_answer" && PROXY_STATUSES.includes(status);
}

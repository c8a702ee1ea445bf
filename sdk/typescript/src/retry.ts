import type { ApiError } from "./api-error.ts";

/** When a request is sent again. Requests that could take effect twice are never sent again. */
export type RetryPolicy = {
  /** Milliseconds after the first failure during which the request is sent again. */
  readonly forMs: number;
  /** Milliseconds before the first repetition; doubled before each further one, up to `maxDelayMs`. */
  readonly delayMs: number;
  readonly maxDelayMs: number;
  /** Called before each repetition, with the failure that it repeats. */
  readonly onRetry?: (error: ApiError) => void;
};

/** Long enough for a restart of Airlock, and for a full queue to move on a few times. */
export const DEFAULT_RETRY: RetryPolicy = { forMs: 30_000, delayMs: 250, maxDelayMs: 5_000 };

// Statuses with which proxies say that the server behind them is away, and 429 with which they limit.
const PROXY_STATUSES: readonly (number | undefined)[] = [429, 502, 503, 504];

/**
 * Milliseconds to wait before the request is sent again; undefined when it would fail the same way, or when
 * the time of the policy would be over by then.
 */
export function retryDelay(
  policy: RetryPolicy,
  error: ApiError,
  failedForMs: number,
  random: () => number = Math.random,
): number | undefined {
  if (!mayPass(error)) return undefined;
  const backOffMs = Math.min(policy.maxDelayMs, policy.delayMs * 2 ** (error.attempts - 1));
  // Clients that failed together come back apart.
  const spreadMs = backOffMs * (0.75 + random() / 4);
  const delayMs = Math.max(spreadMs, (error.retryAfterSeconds ?? 0) * 1_000);
  return failedForMs + delayMs > policy.forMs ? undefined : delayMs;
}

/** Whether the same request may succeed later. */
function mayPass({ code, status, retryAfterSeconds }: ApiError): boolean {
  if (code === "unreachable" || code === "timeout" || code === "request_timeout") return true;
  // Airlock names a time in each answer that may be different later, and in no other one.
  if (retryAfterSeconds !== undefined) return true;
  return code === "unexpected_answer" && PROXY_STATUSES.includes(status);
}

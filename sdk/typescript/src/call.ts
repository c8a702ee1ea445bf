import { ApiError, errorOfAnswer, unreachable } from "./api-error.ts";
import { type RetryPolicy, retryDelay } from "./retry.ts";
import type { HttpAnswer, HttpRequest, Transport } from "./transport.ts";

/** Options of every call of the client. */
export type CallOptions = {
  /** Ends the call when it aborts. The call then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Milliseconds for the call with all its attempts and the waits between them. Undefined: only each attempt
   * is limited.
   */
  readonly timeoutMs?: number | undefined;
  /** The policy by which the request is sent again after a failure. Undefined: the policy of the client. */
  readonly retry?: RetryPolicy | "never" | undefined;
};

export type Call = {
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
  /** The JSON text of the request's body; undefined: the request has none. */
  readonly body?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Milliseconds for which the gateway is asked to hold the answer; each attempt may take so much longer. */
  readonly holdMs?: number;
  /** Whether the request may be sent twice without taking effect twice. If not, it is never sent again. */
  readonly isRepeatable: boolean;
};

export type Caller = {
  /** The address of Airlock, without credentials. */
  readonly url: string;
  readonly retry: RetryPolicy | "never";
  /** Resolves to the body of an answer with a status of 2xx. Rejects with an ApiError. */
  send(call: Call, options?: CallOptions): Promise<string>;
};

export type CallerParts = {
  readonly url: string;
  readonly transport: Transport;
  /** Headers of every request. */
  readonly headers: Readonly<Record<string, string>>;
  readonly retry: RetryPolicy | "never";
  /** Milliseconds after which an attempt without an answer is ended as failed. */
  readonly attemptMs: number;
};

/** Makes calls: sends a request, and sends it again as the policy says. */
export function createCaller({ url, transport, headers, retry, attemptMs }: CallerParts): Caller {
  /** Sends the request once. Resolves to the body of the answer. */
  const attempt = async (call: Call, limitMs: number, attempts: number, signal?: AbortSignal) => {
    const abort = new AbortController();
    const end = () => abort.abort();
    const timer = setTimeout(end, Math.min(limitMs, LONGEST_TIMER_MS));
    signal?.addEventListener("abort", end, { once: true });
    let answer: HttpAnswer;
    try {
      answer = await transport(toRequest(call, url, headers, abort.signal));
    } catch (error) {
      signal?.throwIfAborted();
      throw abort.signal.aborted ? late(url, limitMs, attempts, error) : unreachable(url, attempts, error);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
    }
    if (answer.status >= 200 && answer.status < 300) return answer.text;
    throw errorOfAnswer(answer, url, attempts);
  };

  const send: Caller["send"] = async (call, { signal, timeoutMs = Infinity, retry: ownRetry } = {}) => {
    const policy = ownRetry ?? retry;
    const startedMs = performance.now();
    let failedAtMs: number | undefined;
    for (let attempts = 1; ; attempts++) {
      signal?.throwIfAborted();
      const leftMs = timeoutMs - (performance.now() - startedMs);
      const limitMs = Math.max(1, Math.min(attemptMs + (call.holdMs ?? 0), leftMs));
      try {
        return await attempt(call, limitMs, attempts, signal);
      } catch (error) {
        if (policy === "never" || !(error instanceof ApiError)) throw error;
        // A request that was one too many has done nothing, so any call may be sent again.
        if (!call.isRepeatable && error.code !== "rate_limited") throw error;
        const nowMs = performance.now();
        failedAtMs ??= nowMs;
        const delayMs = retryDelay(policy, error, nowMs - failedAtMs);
        if (delayMs === undefined || nowMs + delayMs - startedMs > timeoutMs) throw error;
        policy.onRetry?.(error);
        await pause(delayMs, signal);
      }
    }
  };
  return { url, retry, send };
}

// Milliseconds of the longest timer. A longer time overflows Node's timers, which then fire at once.
const LONGEST_TIMER_MS = 2 ** 31 - 1;

function toRequest(
  { method, path, body, headers }: Call,
  url: string,
  common: Readonly<Record<string, string>>,
  signal: AbortSignal,
): HttpRequest {
  const type = body === undefined ? {} : { "content-type": "application/json" };
  return { method, url: url + path, headers: { ...common, ...type, ...headers }, body, signal };
}

function late(url: string, limitMs: number, attempts: number, cause: unknown): ApiError {
  const seconds = Math.round(limitMs / 100) / 10;
  const message = `Airlock at ${url} did not answer within ${seconds} seconds.`;
  return new ApiError("timeout", message, { url, attempts, cause });
}

/** Resolves after `ms`. Rejects with the signal's reason when it aborts. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", end);
      resolve();
    }, ms);
    if (signal?.aborted) end();
    else signal?.addEventListener("abort", end, { once: true });
  });
}

/** The query string of these values, with its question mark; empty when every value is undefined. */
export function queryOf(values: Readonly<Record<string, string | number | undefined>>): string {
  const pairs = Object.entries(values).filter(([, value]) => value !== undefined);
  const text = pairs.map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`).join("&");
  return text === "" ? "" : `?${text}`;
}

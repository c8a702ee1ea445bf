import { setTimeout as sleep } from "node:timers/promises";
import { AirlockError, asAirlockError, type ErrorCode, hasCode } from "#common/errors.ts";
import { fromGrpcError } from "#common/grpc/errors.ts";
import { systemClock } from "#common/resilience/clock.ts";
import { RESTART_MS } from "#common/service/grace-periods.ts";
import type { EgressServiceClient, HoldRouteRequest, HoldRouteResponse } from "#proto/egress.ts";
import type { RunNetwork } from "#proto/worker.ts";

/**
 * A run's route to the network through the egress service, open until `close` is called or this process ends.
 * When the egress service goes away, the script's open connections break. The next egress service recognizes
 * the run by the same credentials and placeholders, so that the script can connect again.
 */
export type RouteSession = { readonly network: RunNetwork; close(): void };

// A healthy egress service reads the project's brokered secrets and opens the route within this time. After
// it the router cancels the call and asks again, because the egress service or the secrets service may hang.
const OPEN_TIMEOUT_MS = 5_000;
const ASK_AGAIN_MS = 300;
const LONGEST_DELAY_MS = 5_000;
const TRANSIENT: readonly ErrorCode[] = ["unavailable", "deadline_exceeded", "worker_lost"];

/**
 * Opens a route through the egress service, and opens it again when that service goes away. Rejects with
 * `start_failed`, `project_invalid` or `project_not_found`, because a script whose project has an allowlist
 * does not start without its route. While the egress service, the secrets service or the worker cannot be
 * reached, tries again for 20 s. When `signal` aborts, the attempts end and an open route is closed.
 */
export async function openRoute(
  egress: EgressServiceClient,
  request: HoldRouteRequest,
  signal: AbortSignal,
): Promise<RouteSession> {
  const closed = new AbortController();
  const close = () => closed.abort();
  const first = await openFirst(egress, request, signal);
  // A route that opens while `signal` aborts is closed here, because the caller never gets it.
  signal.addEventListener("abort", close, { once: true });
  if (signal.aborted) close();
  void holdOpen(egress, request, first, closed.signal);
  return { network: first.network, close };
}

/**
 * A route that the egress service keeps open as long as one gRPC stream lasts. `ended` resolves when that
 * stream ends; `close` cancels it.
 */
type HeldRoute = { readonly network: RunNetwork; readonly ended: Promise<void>; close(): void };

async function openFirst(
  egress: EgressServiceClient,
  request: HoldRouteRequest,
  signal: AbortSignal,
): Promise<HeldRoute> {
  for (const until = systemClock.monotonicMs() + RESTART_MS; ; ) {
    await reachable(egress, Date.now() + until - systemClock.monotonicMs());
    try {
      return await openOnce(egress, request, signal);
    } catch (error) {
      const isTransient = TRANSIENT.some((code) => hasCode(error, code));
      if (!isTransient || signal.aborted || systemClock.monotonicMs() > until) throw notOpened(error);
      await sleep(ASK_AGAIN_MS);
    }
  }
}

/**
 * Waits until the route's stream ends and then opens the route again, after delays that grow to 5 s. Goes on
 * until `closed` aborts, however long the egress service is away.
 */
async function holdOpen(
  egress: EgressServiceClient,
  request: HoldRouteRequest,
  first: HeldRoute,
  closed: AbortSignal,
): Promise<void> {
  for (let route: HeldRoute | undefined = first, delayMs = ASK_AGAIN_MS; !closed.aborted; ) {
    if (route) {
      const { close, ended } = route;
      closed.addEventListener("abort", close, { once: true });
      if (closed.aborted) close();
      await ended;
      closed.removeEventListener("abort", close);
      delayMs = ASK_AGAIN_MS;
    }
    await sleep(delayMs, undefined, { signal: closed }).catch(() => undefined);
    if (closed.aborted) break;
    route = await openOnce(egress, request, closed).catch(() => undefined);
    delayMs = Math.min(2 * delayMs, LONGEST_DELAY_MS);
    if (closed.aborted) route?.close();
  }
}

async function openOnce(
  egress: EgressServiceClient,
  request: HoldRouteRequest,
  signal: AbortSignal,
): Promise<HeldRoute> {
  const stream = egress.holdRoute(request);
  const cancel = () => stream.cancel();
  // Aborting `signal` cancels the stream, because a caller that has given up would never close a route that
  // opens later.
  signal.addEventListener("abort", cancel, { once: true });
  if (signal.aborted) cancel();
  const ended = Promise.withResolvers<void>();
  let late: NodeJS.Timeout | undefined;
  return await new Promise<HeldRoute>((resolve, reject) => {
    late = setTimeout(() => {
      reject(new AirlockError("deadline_exceeded", "The egress service did not answer in time."));
      cancel();
    }, OPEN_TIMEOUT_MS);
    // The stream ends with an error when this router cancels it, or when the egress service goes away.
    stream.on("error", (error) => {
      reject(fromGrpcError(error, "egress service"));
      ended.resolve();
    });
    stream.on("end", () => {
      reject(new AirlockError("unavailable", "The egress service ended the stream."));
      ended.resolve();
    });
    stream.on("data", ({ network }: HoldRouteResponse) => {
      if (network) resolve({ network, ended: ended.promise, close: cancel });
    });
  }).finally(() => {
    clearTimeout(late);
    signal.removeEventListener("abort", cancel);
  });
}

function reachable(egress: EgressServiceClient, until: number): Promise<void> {
  return new Promise((resolve, reject) => {
    egress.waitForReady(until, (error) => (error ? reject(notOpened(error)) : resolve()));
  });
}

function notOpened(cause: unknown): AirlockError {
  const { code, message } = asAirlockError(cause);
  if (code === "start_failed" || code === "project_invalid" || code === "project_not_found") {
    return new AirlockError(code, message, { cause });
  }
  return new AirlockError(
    "start_failed",
    "The script was not started, because its project uses the network and the egress service opened no route. Submit it again; if this goes on, tell the operator.",
    { cause },
  );
}

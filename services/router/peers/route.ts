import { setTimeout as sleep } from "node:timers/promises";
import { AirlockError, asAirlockError, type ErrorCode, hasCode } from "#common/errors.ts";
import { fromGrpcError } from "#common/grpc/errors.ts";
import { systemClock } from "#common/resilience/clock.ts";
import { RESTART_MS } from "#common/service/grace-periods.ts";
import type { EgressServiceClient, HoldRouteRequest, HoldRouteResponse } from "#proto/egress.ts";
import type { RunNetwork } from "#proto/worker.ts";

/**
 * A run's way to the network, open until it is closed or this process is gone. An egress service that goes away
 * breaks the connections that are open, which the script sees; the next one that is there knows the run by what its
 * script was given.
 */
export type RouteSession = { readonly network: RunNetwork; close(): void };

// An egress service that is there has asked for the project's brokered secrets by then; it or the secrets service may
// stand still, and is asked again.
const OPEN_TIMEOUT_MS = 5_000;
const ASK_AGAIN_MS = 300;
const LONGEST_DELAY_MS = 5_000;
const PASSING: readonly ErrorCode[] = ["unavailable", "deadline_exceeded", "worker_lost"];

/**
 * Opens a route through the egress service, and opens it again when that goes away. Rejects with `start_failed`,
 * `project_invalid` or `project_not_found`: a script of a project that reaches the network does not start without. An
 * egress or secrets service that restarts or stands still is waited for, and so is a worker that the egress service
 * does not reach: whoever asks is told when that is lost.
 */
export async function openRoute(
  egress: EgressServiceClient,
  request: HoldRouteRequest,
  signal: AbortSignal,
): Promise<RouteSession> {
  const closed = new AbortController();
  const close = () => closed.abort();
  const first = await openFirst(egress, request, signal);
  // Whoever gives up at this very moment does not know the route.
  signal.addEventListener("abort", close, { once: true });
  if (signal.aborted) close();
  void holdOpen(egress, request, first, closed.signal);
  return { network: first.network, close };
}

/** A route for as long as one stream lasts. */
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
      const mayPass = PASSING.some((code) => hasCode(error, code));
      if (!mayPass || signal.aborted || systemClock.monotonicMs() > until) throw notOpened(error);
      await sleep(ASK_AGAIN_MS);
    }
  }
}

/** Opens the route again, however long that takes, until it is closed. */
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
  // Whoever gave up waiting does not know the route that opens later.
  signal.addEventListener("abort", cancel, { once: true });
  if (signal.aborted) cancel();
  const ended = Promise.withResolvers<void>();
  let late: NodeJS.Timeout | undefined;
  return await new Promise<HeldRoute>((resolve, reject) => {
    late = setTimeout(() => {
      reject(new AirlockError("deadline_exceeded", "The egress service did not answer in time."));
      cancel();
    }, OPEN_TIMEOUT_MS);
    // The stream ends with an error when it is cancelled, or when the egress service goes away.
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
    "The script was not started, because its project reaches the network and the egress service gave it no way there. Submit it again; if this goes on, tell the operator.",
    { cause },
  );
}

import { setTimeout as sleep } from "node:timers/promises";
import { AirlockError, asAirlockError, type ErrorCode, hasCode } from "#common/errors.ts";
import { fromGrpcError } from "#common/grpc/errors.ts";
import { systemClock } from "#common/resilience/clock.ts";
import { RESTART_MS } from "#common/service/grace-periods.ts";
import type { EgressServiceClient, HoldRouteRequest, HoldRouteResponse } from "#proto/egress.ts";
import type { RunNetwork } from "#proto/worker.ts";

/** A run's way to the network, open until it is closed or this process is gone. */
export type RouteSession = { readonly network: RunNetwork; close(): void };

// An egress service that is there has asked for the project's brokered secrets by then; it or the secrets service may
// stand still, and is asked again.
const OPEN_TIMEOUT_MS = 5_000;
const ASK_AGAIN_MS = 300;
const PASSING: readonly ErrorCode[] = ["unavailable", "deadline_exceeded", "worker_lost"];

/**
 * Opens a route through the egress service. Rejects with `start_failed`, `project_invalid` or `project_not_found`: a script
 * of a project that reaches the network does not start without. An egress or secrets service that restarts or stands still is
 * waited for, and so is a worker that the egress service does not reach: whoever asks is told when that is lost.
 */
export async function openRoute(
  egress: EgressServiceClient,
  request: HoldRouteRequest,
  signal: AbortSignal,
): Promise<RouteSession> {
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

async function openOnce(
  egress: EgressServiceClient,
  request: HoldRouteRequest,
  signal: AbortSignal,
): Promise<RouteSession> {
  const stream = egress.holdRoute(request);
  const cancel = () => stream.cancel();
  // Whoever gave up waiting does not know the route that opens later.
  signal.addEventListener("abort", cancel, { once: true });
  if (signal.aborted) cancel();
  let late: NodeJS.Timeout | undefined;
  return await new Promise<RouteSession>((resolve, reject) => {
    late = setTimeout(() => {
      reject(new AirlockError("deadline_exceeded", "The egress service did not answer in time."));
      cancel();
    }, OPEN_TIMEOUT_MS);
    // Listened to for good: the stream ends with an error when it is cancelled, or when the egress service goes away.
    // Then the run's connections break, which the script sees.
    stream.on("error", (error) => reject(fromGrpcError(error, "egress service")));
    stream.on("end", () => reject(new Error("the egress service ended the stream")));
    stream.on("data", ({ network }: HoldRouteResponse) => {
      if (network) resolve({ network, close: cancel });
    });
  }).finally(() => clearTimeout(late));
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

import { setTimeout as sleep } from "node:timers/promises";
import { type ServiceError, type StatusObject, status } from "@grpc/grpc-js";
import { hasCode } from "#common/errors.ts";
import { fromGrpcError } from "#common/grpc/errors.ts";
import { systemClock } from "#common/resilience/clock.ts";
import type { WatchStatusResponse, WorkerServiceClient } from "#proto/worker.ts";

// A connection that broke is made anew within moments. What still runs on the worker is kept there for a minute, so that
// one that does not answer is found out early enough for its runs to end as lost, and not as forgotten.
const ANSWER_WITHIN_MS = 10_000;
const FIRST_ANSWER_MS = 5_000;
const ASK_AGAIN_MS = 500;

/**
 * Hears what the worker says of itself, over as many connections as that takes. Resolves when the worker has ended the
 * stream in good order, or with the last error when it has not answered for some seconds, or another worker has; also soon
 * after `signal` aborts, which says that the worker is gone.
 */
export async function watchWorker(
  client: WorkerServiceClient,
  workerId: string,
  onStatus: (status: WatchStatusResponse) => void,
  onBreak: (error: ServiceError) => void,
  signal: AbortSignal,
): Promise<ServiceError | undefined> {
  let silentSince = systemClock.monotonicMs();
  // A client that was closed, as it is when the worker is gone, throws.
  while (!signal.aborted) {
    let isHeard = false;
    const error = await listen(client, workerId, signal, (said) => {
      isHeard = true;
      onStatus(said);
    });
    if (!error) return undefined;
    if (hasCode(fromGrpcError(error, "worker"), "worker_lost")) return error;
    if (isHeard && !signal.aborted) {
      silentSince = systemClock.monotonicMs();
      onBreak(error);
    }
    if (systemClock.monotonicMs() - silentSince > ANSWER_WITHIN_MS) return error;
    await sleep(ASK_AGAIN_MS);
  }
  return undefined;
}

/** One stream to its end; a worker says at once how it is. Resolves with what broke it. */
function listen(
  client: WorkerServiceClient,
  workerId: string,
  signal: AbortSignal,
  onStatus: (status: WatchStatusResponse) => void,
): Promise<ServiceError | undefined> {
  return new Promise((resolve) => {
    const stream = client.watchStatus({ workerId });
    const cancel = () => stream.cancel();
    const late = setTimeout(cancel, FIRST_ANSWER_MS);
    signal.addEventListener("abort", cancel, { once: true });
    stream.on("data", (said: WatchStatusResponse) => {
      clearTimeout(late);
      onStatus(said);
    });
    stream.on("error", resolve);
    stream.once("status", ({ code }: StatusObject) => {
      clearTimeout(late);
      signal.removeEventListener("abort", cancel);
      if (code === status.OK) resolve(undefined);
    });
  });
}

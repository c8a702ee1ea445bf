import { setTimeout as sleep } from "node:timers/promises";
import { type ServiceError, type StatusObject, status } from "@grpc/grpc-js";
import { hasCode } from "#common/errors.ts";
import { fromGrpcError } from "#common/grpc/errors.ts";
import { systemClock } from "#common/resilience/clock.ts";
import type { WatchStatusResponse, WorkerServiceClient } from "#proto/worker.ts";

// Milliseconds after which a worker that has not answered is taken for lost. A broken connection is replaced
// much sooner. A worker keeps its runs without a router for a minute; this limit is far below, so that those
// runs end as worker_lost before the worker forgets them.
const ANSWER_WITHIN_MS = 10_000;
// Milliseconds that a worker may take to send its first status over a new connection.
const FIRST_ANSWER_MS = 5_000;
const ASK_AGAIN_MS = 500;

/**
 * Follows the status that a worker reports (`onStatus`), over as many connections as that takes; `onBreak` is
 * called for each that breaks. Resolves to undefined when the worker ends the stream in good order, and soon
 * after `signal` aborts because the worker is gone. Resolves to the last error when the worker has not
 * answered for 10 s, or when another worker answers at its address.
 */
export async function watchWorker(
  client: WorkerServiceClient,
  workerId: string,
  onStatus: (status: WatchStatusResponse) => void,
  onBreak: (error: ServiceError) => void,
  signal: AbortSignal,
): Promise<ServiceError | undefined> {
  let silentSince = systemClock.monotonicMs();
  // The loop ends when the worker is gone, because its client is closed then and would throw.
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

/**
 * Follows one stream of a worker's status to its end. The stream is broken off when no status comes within 5
 * s, because a healthy worker sends its status at once. Resolves to the error that broke the stream,
 * undefined when it ended in good order.
 */
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

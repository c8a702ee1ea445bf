import { type StatusObject, status } from "@grpc/grpc-js";
import { fromGrpcError } from "#common/grpc/errors.ts";
import type { WorkerConnections } from "#common/grpc/worker-connections.ts";
import type { Log } from "#common/service/log.ts";
import type { HoldRouteRequest } from "#proto/egress.ts";
import type { TunnelOpen, TunnelResponse, WorkerServiceClient } from "#proto/worker.ts";
import type { Route } from "../routes/routes.ts";
import { openTunnel } from "./call.ts";
import { TunnelSocket } from "./socket.ts";

/** The connections of one run. */
export type WorkerTunnels = {
  /** Resolves when the worker has ended an unused one: then the run is over, or never came. */
  readonly over: Promise<void>;
  /** Breaks all of them. */
  close(): void;
};

/** Whose runs the tunnels are for, as the lease says. */
export type TunnelledWorker = Pick<HoldRouteRequest, "workerId" | "workerAddress">;

/** Rejects with `worker_lost` when the worker cannot be reached. */
export type OpenTunnels = (route: Route, worker: TunnelledWorker) => Promise<WorkerTunnels>;

/** For channels that carry tunnels. */
export const TUNNEL_CHANNEL_OPTIONS = {
  // What is kept for retries counts as written before it is.
  "grpc.per_rpc_retry_buffer_size": 0,
  // A connection of their own, whatever else this process says to the same worker.
  "grpc.use_local_subchannel_pool": 1,
  "grpc.client_idle_timeout_ms": 60_000,
} as const;

const WAITING = 2;
const MAX_CONNECTIONS = 256;
const RETRY_MS = 500;

/** `accept` is given every connection that is made inside the run of a route. */
export function createTunnelOpener(
  workers: WorkerConnections,
  accept: (socket: TunnelSocket, route: Route) => void,
  log: Log,
): OpenTunnels {
  return async (route, { workerId, workerAddress }) => {
    await workers.reach(workerAddress);
    return keepTunnels({
      // Asked for each time: a channel that others used later may have been closed.
      worker: () => workers.to(workerAddress),
      open: { executionId: route.executionId, workerId },
      owner: route.traffic.owner,
      onConnection: (socket) => accept(socket, route),
      onLost: (error) =>
        log.warn(
          { executionId: route.executionId, reason: fromGrpcError(error, "worker").message },
          "no tunnel to the worker",
        ),
    });
  };
}

/**
 * Keeps a few tunnels to the run's worker waiting, and hands over each that is used. One that ends unused is replaced a
 * little later; `onLost` is told of the first that could not be had.
 */
function keepTunnels(parts: {
  readonly worker: () => WorkerServiceClient;
  readonly open: TunnelOpen;
  readonly owner: string;
  readonly onConnection: (socket: TunnelSocket) => void;
  readonly onLost: (error: Error) => void;
}): WorkerTunnels {
  const calls = new Set<{ cancel(): void }>();
  let waiting = 0;
  let retry: NodeJS.Timeout | undefined;
  let isClosed = false;
  const over = Promise.withResolvers<void>();
  let { onLost } = parts;

  const open = () => {
    const call = openTunnel(parts.worker(), parts.open);
    let isWaiting = true;
    calls.add(call);
    waiting++;
    call.once("data", ({ message }: TunnelResponse) => {
      isWaiting = false;
      waiting--;
      parts.onConnection(new TunnelSocket(call, parts.owner));
      fill(message?.$case === "opened" ? message.value.queued : 0);
    });
    call.on("error", (error) => {
      if (!isWaiting || isClosed) return;
      onLost(error);
      onLost = () => undefined;
    });
    call.once("status", ({ code }: StatusObject) => {
      calls.delete(call);
      if (!isWaiting) return fill();
      waiting--;
      if (code === status.OK) over.resolve();
      if (isClosed) return;
      clearTimeout(retry);
      retry = setTimeout(fill, RETRY_MS);
    });
  };
  const fill = (queued = 0) => {
    while (!isClosed && waiting < WAITING + queued && calls.size < MAX_CONNECTIONS) open();
  };
  fill();
  return {
    over: over.promise,
    close() {
      isClosed = true;
      clearTimeout(retry);
      for (const call of calls) call.cancel();
    },
  };
}

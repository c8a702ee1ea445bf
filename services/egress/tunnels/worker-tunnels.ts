import { type StatusObject, status } from "@grpc/grpc-js";
import { fromGrpcError } from "#common/grpc/errors.ts";
import type { WorkerConnections } from "#common/grpc/worker-connections.ts";
import type { Log } from "#common/service/log.ts";
import type { HoldRouteRequest } from "#proto/egress.ts";
import type { TunnelOpen, TunnelResponse, WorkerServiceClient } from "#proto/worker.ts";
import type { Route } from "../routes/routes.ts";
import { openTunnel } from "./call.ts";
import { TunnelSocket } from "./socket.ts";

/** The tunnels of one run. */
export type WorkerTunnels = {
  /**
   * Resolves when the worker has ended a tunnel that no connection has used, because the run is over or never
   * started.
   */
  readonly over: Promise<void>;
  /** Closes all tunnels and breaks their connections. */
  close(): void;
};

/** The worker that the tunnels lead to, from the lease. */
export type TunnelledWorker = Pick<HoldRouteRequest, "workerId" | "workerAddress">;

/** Opens the tunnels of a run. Rejects with `worker_lost` when the worker cannot be reached. */
export type OpenTunnels = (route: Route, worker: TunnelledWorker) => Promise<WorkerTunnels>;

/** The options of gRPC channels for tunnels. */
export const TUNNEL_CHANNEL_OPTIONS = {
  // No buffer for retries, because bytes in it would count as written before they are sent.
  "grpc.per_rpc_retry_buffer_size": 0,
  // Tunnels use a connection of their own, apart from this process's other calls to the worker.
  "grpc.use_local_subchannel_pool": 1,
  "grpc.client_idle_timeout_ms": 60_000,
} as const;

const WAITING = 2;
const MAX_CONNECTIONS = 256;
const RETRY_MS = 500;

/** Makes a function that opens tunnels. `accept` gets every connection that a process of the run makes. */
export function createTunnelOpener(
  workers: WorkerConnections,
  accept: (socket: TunnelSocket, route: Route) => void,
  log: Log,
): OpenTunnels {
  return async (route, { workerId, workerAddress }) => {
    await workers.reach(workerAddress);
    return keepTunnels({
      // The client is fetched for each tunnel, because a channel from before may have been closed.
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
 * Keeps two unused tunnels to the run's worker open, and passes each tunnel on when a connection uses it. A
 * tunnel that ends unused is replaced after RETRY_MS. `onLost` gets the first error of a tunnel that failed.
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

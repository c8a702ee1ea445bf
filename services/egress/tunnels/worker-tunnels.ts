import { type StatusObject, status } from "@grpc/grpc-js";
import { fromGrpcError } from "#common/grpc/errors.ts";
import type { WorkerConnections } from "#common/grpc/worker-connections.ts";
import type { Log } from "#common/service/log.ts";
import type { HoldRouteRequest } from "#proto/egress.ts";
import type { TunnelOpen, TunnelResponse, WorkerServiceClient } from "#proto/worker.ts";
import type { Route } from "../routes/routes.ts";
import { openTunnel } from "./call.ts";
import { TunnelSocket } from "./socket.ts";

/** The tunnels between this service and a run's worker, for the connections of the run. */
export type WorkerTunnels = {
  /**
   * Resolves when the worker has ended a tunnel that no connection has used, because the run is over or never
   * started.
   */
  readonly over: Promise<void>;
  /** Closes all tunnels and breaks their connections. */
  close(): void;
};

/**
 * The id and the address of the worker to which the tunnels of a run lead. The router has them from the run's
 * lease.
 */
export type TunnelledWorker = Pick<HoldRouteRequest, "workerId" | "workerAddress">;

/** Opens the tunnels of a run. Rejects with `worker_lost` when the worker cannot be reached. */
export type OpenTunnels = (route: Route, worker: TunnelledWorker) => Promise<WorkerTunnels>;

/** The options of the gRPC channels to workers, over which tunnels run. */
export const TUNNEL_CHANNEL_OPTIONS = {
  // gRPC keeps no buffer for retries, because bytes in this buffer would count as written before they are
  // sent.
  "grpc.per_rpc_retry_buffer_size": 0,
  // Tunnels use a TCP connection of their own, apart from this process's other calls to the worker.
  "grpc.use_local_subchannel_pool": 1,
  "grpc.client_idle_timeout_ms": 60_000,
} as const;

/** The number of unused tunnels that are kept open for the next connections of a run. */
const WAITING = 2;
/** The most tunnels of one run, used and unused together. */
const MAX_CONNECTIONS = 256;
/** Milliseconds until a tunnel that ended unused is replaced. */
const RETRY_MS = 500;

/**
 * Makes a function that opens tunnels. `accept` gets the socket of every tunnel that a process of the run has
 * connected to.
 */
export function createTunnelOpener(
  workers: WorkerConnections,
  accept: (socket: TunnelSocket, route: Route) => void,
  log: Log,
): OpenTunnels {
  return async (route, { workerId, workerAddress }) => {
    await workers.reach(workerAddress);
    return keepTunnels({
      // The gRPC client of the worker is fetched for each tunnel, because an earlier client's channel may
      // have been closed meanwhile.
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
 * Keeps two unused tunnels to the run's worker open, and more when connections wait there. Passes a tunnel to
 * `onConnection` when a process of the run uses it. A tunnel that ends unused is replaced after RETRY_MS.
 * `onLost` gets the first error of a tunnel that failed.
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

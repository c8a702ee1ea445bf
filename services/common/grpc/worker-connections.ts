import type { ChannelOptions } from "@grpc/grpc-js";
import { WorkerServiceClient } from "#proto/worker.ts";
import { AirlockError } from "../errors.ts";
import type { TlsIdentity } from "../identity/tls-identity.ts";
import { connectTo } from "./client.ts";
import { ready } from "./ready.ts";

/**
 * Open gRPC channels from this service to workers. A worker is called many times, so its channel stays open
 * after a call. When there are too many channels, the one that was used longest ago is closed.
 */
export type WorkerConnections = {
  /** The client for the worker at `address`; opens a channel when there is none. */
  to(address: string): WorkerServiceClient;
  /** Resolves when the worker can be reached; rejects with `worker_lost` after 2 s. */
  reach(address: string): Promise<void>;
  /** Closes the channel to a worker that is gone. */
  forget(address: string): void;
  close(): void;
};

const REACH_TIMEOUT_MS = 2_000;

/**
 * Makes a pool of channels to workers. `options` are added to the usual options of each channel. At most
 * `maxConnections` channels stay open.
 */
export function createWorkerConnections(
  tls?: TlsIdentity,
  options: ChannelOptions = {},
  maxConnections = 256,
): WorkerConnections {
  const clients = new Map<string, WorkerServiceClient>();
  const forget = (address: string) => {
    clients.get(address)?.close();
    clients.delete(address);
  };
  const to = (address: string) => {
    const client = clients.get(address) ?? connectTo(WorkerServiceClient, address, tls, "worker", options);
    // A Map keeps the order of insertion, so its first key is the channel that was used longest ago. Closing
    // a channel lets its open calls finish.
    clients.delete(address);
    clients.set(address, client);
    if (clients.size > maxConnections) forget(clients.keys().next().value as string);
    return client;
  };
  return {
    to,
    reach: (address) =>
      ready(to(address), REACH_TIMEOUT_MS).catch((cause: unknown) => {
        forget(address);
        throw new AirlockError("worker_lost", "The worker cannot be reached.", { cause });
      }),
    forget,
    close() {
      for (const address of [...clients.keys()]) forget(address);
    },
  };
}

import type { Client } from "@grpc/grpc-js";

/** Resolves when the client has a connection; rejects with grpc-js's error when it has none after `timeoutMs`. */
export function ready(client: Client, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    // grpc-js expects a point in time here, not a duration.
    client.waitForReady(Date.now() + timeoutMs, (error) => (error ? reject(error) : resolve()));
  });
}

import type { Client } from "@grpc/grpc-js";

/**
 * Resolves when the client has a connection to its server. Rejects with grpc-js's own error, which is no
 * AirlockError, when the client has none after `timeoutMs` milliseconds.
 */
export function ready(client: Client, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    // `waitForReady` takes a deadline in epoch milliseconds, not a duration.
    client.waitForReady(Date.now() + timeoutMs, (error) => (error ? reject(error) : resolve()));
  });
}

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { collectDefaultMetrics, Registry } from "prom-client";
import { resolveListenAddress } from "./listen-address.ts";

/**
 * A registry with the metrics of this process (memory, CPU, event loop) and of the services that run in it.
 */
export function createProcessRegistry(hosted: readonly Registry[]): Registry {
  const registry = Registry.merge([new Registry(), ...hosted]);
  collectDefaultMetrics({ register: registry });
  return registry;
}

export type MetricsServer = { readonly address: string; close(): void };

/**
 * Serves `GET /metrics` as Prometheus text, for services that have no other HTTP server. `listen` is
 * `host:port`, or `NETWORK/BITS:port` for this machine's own address in a network. Rejects when the address
 * cannot be bound.
 */
export async function serveMetrics(listen: string, registry: Registry): Promise<MetricsServer> {
  const { hostname, port } = new URL(`http://${resolveListenAddress(listen)}`);
  const server = createServer((request, response) => {
    if (request.method !== "GET" || request.url !== "/metrics") {
      response.writeHead(404).end();
      return;
    }
    registry.metrics().then(
      (text) => response.writeHead(200, { "content-type": registry.contentType }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  server.requestTimeout = 5_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(Number(port || 80), hostname.replace(/^\[(.*)\]$/, "$1"), resolve);
  });
  const bound = server.address() as AddressInfo;
  return {
    address: `${hostname}:${bound.port}`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

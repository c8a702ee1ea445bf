import { type AddressInfo, Server } from "node:net";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import type { Registry } from "prom-client";
import { createDrain } from "#common/service/drain.ts";
import { isIn } from "#common/service/listen-address.ts";
import type { Log } from "#common/service/log.ts";
import { createProcessRegistry } from "#common/service/metrics-server.ts";
import type { RunningService } from "#common/service/run-service.ts";
import type { Backends } from "./backends/backends.ts";
import { STALLED_AFTER_MS } from "./rest/answers/stalled-answers.ts";
import { buildApp } from "./rest/app.ts";

export type RunningGateway = RunningService & { readonly port: number };

export type ListenAt = {
  readonly host: string;
  readonly port: number;
  /**
   * A network such as 10.1.2.0/24. Connections that arrive at this machine's address in that network are
   * closed. Undefined: none are.
   */
  readonly exceptNetwork?: string | undefined;
  /** Host names that clients may use for this gateway, besides localhost and its IP addresses. */
  readonly hostNames?: readonly string[];
  /** Milliseconds without progress after which the connection of an answer is closed. */
  readonly stalledAfterMs?: number;
};

// Idle connections stay open for so long after the gateway begins to stop, because a client may be sending at
// that moment.
const LINGER_MS = 100;

/** Serves the REST API and owns `backends` from here. Rejects when the port cannot be bound. */
export async function serve(
  { host, port, exceptNetwork, hostNames = [], stalledAfterMs = STALLED_AFTER_MS }: ListenAt,
  backends: Backends,
  log: Log,
  hosted: readonly Registry[] = [],
): Promise<RunningGateway> {
  const drain = createDrain();
  const registry = createProcessRegistry(hosted);
  const app = await buildApp({ backends, drain, registry, log, stalledAfterMs, host, hostNames });
  if (exceptNetwork !== undefined) {
    app.server.prependListener("connection", (socket) => {
      if (socket.localAddress === undefined || isIn(socket.localAddress, exceptNetwork)) socket.destroy();
    });
  }
  // For the name localhost fastify would open a second server at ::1, without the limits of this one.
  await app.listen({ host: host === "localhost" ? "127.0.0.1" : host, port });
  const bound = app.server.address() as AddressInfo;
  return {
    port: bound.port,
    address: `${bound.family === "IPv6" ? `[${bound.address}]` : bound.address}:${bound.port}`,
    async drain(graceMs) {
      drain.begin();
      // The plain net.Server close only stops new connections. The close of http.Server would cut idle
      // connections at once.
      Server.prototype.close.call(app.server);
      await sleep(Math.min(LINGER_MS, graceMs));
      // Reads requests that had already arrived while this process was stopped, because they came in time.
      await nextTurn();
      const force = setTimeout(() => app.server.closeAllConnections(), graceMs);
      await app.close();
      clearTimeout(force);
      backends.close();
    },
  };
}

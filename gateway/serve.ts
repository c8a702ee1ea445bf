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
  /** A network such as 10.1.2.0/24: connections to this machine's address in it are closed. */
  readonly exceptNetwork?: string | undefined;
  /** What it may be called besides localhost and its addresses. */
  readonly hostNames?: readonly string[];
  /** How long a client may take nothing of an answer before its connection is closed. */
  readonly stalledAfterMs?: number;
};

// A client may be sending on an idle connection at the moment the gateway stops.
const LINGER_MS = 100;

/** Serves REST over `backends`, which it owns from here. Rejects when the port cannot be bound. */
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
  // For localhost fastify would open a second server, at ::1, which has none of the limits of this one.
  await app.listen({ host: host === "localhost" ? "127.0.0.1" : host, port });
  const bound = app.server.address() as AddressInfo;
  return {
    port: bound.port,
    address: `${bound.family === "IPv6" ? `[${bound.address}]` : bound.address}:${bound.port}`,
    async drain(graceMs) {
      drain.begin();
      // The close of http.Server would cut idle connections at once; this one only takes no new ones.
      Server.prototype.close.call(app.server);
      await sleep(Math.min(LINGER_MS, graceMs));
      // What a process that stood still has not read yet has come in time.
      await nextTurn();
      const force = setTimeout(() => app.server.closeAllConnections(), graceMs);
      await app.close();
      clearTimeout(force);
      backends.close();
    },
  };
}

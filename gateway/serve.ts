import { type AddressInfo, isIPv6, Server, type Socket } from "node:net";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import type { Registry } from "prom-client";
import type { AuthMode } from "#common/identity/auth-mode.ts";
import { systemClock } from "#common/resilience/clock.ts";
import { createDrain } from "#common/service/drain.ts";
import { isIn } from "#common/service/listen-address.ts";
import type { Log } from "#common/service/log.ts";
import { createProcessRegistry } from "#common/service/metrics-server.ts";
import type { RunningService } from "#common/service/run-service.ts";
import { createCredentials } from "./authentication/credentials.ts";
import type { Backends } from "./backends/backends.ts";
import type { RatesConfig } from "./rates/config.ts";
import { openCounters } from "./rates/open-counters.ts";
import { STALLED_AFTER_MS } from "./rest/answers/stalled-answers.ts";
import { buildApp } from "./rest/app.ts";
import {
  type Certificate,
  type CertificateFiles,
  isFor,
  openCertificate,
  type SecureServer,
} from "./rest/https/certificate.ts";
import { trackSessions } from "./rest/https/http2.ts";
import { createRequestRates } from "./rest/rate-limit.ts";

export type RunningGateway = RunningService & {
  readonly port: number;
  /** The URL to call it at, with a host that its certificate names if there is one. */
  readonly url: string;
};

export type ListenAt = {
  readonly host: string;
  readonly port: number;
  /**
   * A network such as 10.1.2.0/24 that the gateway does not serve: connections that arrive at this machine's
   * address in that network are closed. Undefined: no connection is closed for that reason.
   */
  readonly exceptNetwork?: string | undefined;
  /** Whether clients need a credential; `off` unless said. */
  readonly auth?: AuthMode;
  /** What limits the requests of clients; undefined: they are not counted. */
  readonly rates?: RatesConfig | undefined;
  /** Host names that clients may use for this gateway, besides localhost and its IP addresses. */
  readonly hostNames?: readonly string[];
  /** The files of the certificate with which REST is served over HTTPS; undefined: over HTTP. */
  readonly certificate?: CertificateFiles | undefined;
  /** Milliseconds between two looks for a renewed certificate. */
  readonly lookForCertificateEveryMs?: number;
  /**
   * Milliseconds for which a client may read nothing of its answer before the gateway closes the connection.
   */
  readonly stalledAfterMs?: number;
};

// Milliseconds for which idle connections stay open after the gateway begins to stop, because a client may be
// sending a request at that moment.
const LINGER_MS = 100;

/**
 * Serves the REST API over `backends`, which are closed when the gateway has stopped. Rejects when the port
 * cannot be bound.
 */
export async function serve(
  {
    host,
    port,
    exceptNetwork,
    auth = "off",
    hostNames = [],
    rates,
    certificate: files,
    lookForCertificateEveryMs,
    stalledAfterMs = STALLED_AFTER_MS,
  }: ListenAt,
  backends: Backends,
  log: Log,
  hosted: readonly Registry[] = [],
): Promise<RunningGateway> {
  const certificate = files && (await openCertificate(files, log, lookForCertificateEveryMs));
  const drain = createDrain();
  const registry = createProcessRegistry(hosted);
  const asksAuthority = auth === "required" || backends.needsPasses;
  const credentials = asksAuthority ? createCredentials(backends.authority, systemClock) : undefined;
  const counters = rates && (await openCounters(rates, backends.authority, log));
  const counted = rates && counters && createRequestRates(rates, counters, systemClock);
  const app = await buildApp({
    backends,
    clients: { auth, credentials, rates: counted },
    drain,
    registry,
    log,
    stalledAfterMs,
    certificate: certificate?.first,
    host,
    hostNames,
  });
  const connections = new Set<Socket>();
  app.server.on("connection", (socket: Socket) => {
    connections.add(socket);
    socket.once("close", () => connections.delete(socket));
  });
  const sessions = trackSessions(app.server);
  if (exceptNetwork !== undefined) {
    app.server.prependListener("connection", (socket) => {
      if (socket.localAddress === undefined || isIn(socket.localAddress, exceptNetwork)) socket.destroy();
    });
  }
  // For the host "localhost" fastify would open a second server at ::1, to which the connection limits of
  // this one do not apply. So it gets the address instead.
  await app.listen({ host: host === "localhost" ? "127.0.0.1" : host, port });
  const bound = app.server.address() as AddressInfo;
  certificate?.follow(app.server as unknown as SecureServer);
  return {
    port: bound.port,
    url: urlOf(certificate?.first, [host, ...hostNames], bound.port),
    address: `${bound.family === "IPv6" ? `[${bound.address}]` : bound.address}:${bound.port}`,
    async drain(graceMs) {
      drain.begin();
      // The `close` of net.Server is called, because it only stops new connections. The `close` of
      // http.Server would cut idle connections at once.
      Server.prototype.close.call(app.server);
      sessions.announceStop();
      await sleep(Math.min(LINGER_MS, graceMs));
      // One more turn of the event loop reads requests that arrived while this process was suspended. They
      // came before the stop, so they are still served.
      await nextTurn();
      const force = setTimeout(() => {
        for (const socket of connections) socket.destroy();
      }, graceMs);
      await app.close();
      clearTimeout(force);
      certificate?.close();
      credentials?.close();
      counters?.close();
      backends.close();
    },
  };
}

/** The URL with the first of `hosts` that the certificate is for; the first of all without TLS. */
function urlOf(certificate: Certificate | undefined, hosts: readonly string[], port: number): string {
  const [first = "localhost"] = hosts;
  const host = certificate
    ? (["localhost", ...hosts].find((each) => isFor(certificate, each)) ?? first)
    : first;
  return `${certificate ? "https" : "http"}://${isIPv6(host) ? `[${host}]` : host}:${port}`;
}

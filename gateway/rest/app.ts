import type { SecureServerOptions } from "node:http2";
import { type FastifyInstance, type FastifyServerOptions, fastify } from "fastify";
import type { Registry } from "prom-client";
import { trackOwedAnswers } from "#common/http/owed-answers.ts";
import { awaitTurn, endAtUpgrades } from "#common/http/pipelined-requests.ts";
import { systemClock } from "#common/resilience/clock.ts";
import type { Drain } from "#common/service/drain.ts";
import type { Log } from "#common/service/log.ts";
import type { Backends } from "../backends/backends.ts";
import { type Clients, controlAccess } from "./access.ts";
import { MAX_HEADER_BYTES, refuseAmbiguous } from "./ambiguous-requests.ts";
import { boundAnswers } from "./answers/answers.ts";
import { acceptJsonBodies } from "./body/body.ts";
import { boundConnections, connectionLimit } from "./connections.ts";
import { buildDocsPage } from "./docs-page.ts";
import type { Certificate } from "./https/certificate.ts";
import { adaptHttp2, MAX_STREAMS, streamOf } from "./https/http2.ts";
import { observeRequests } from "./metrics.ts";
import { describeApi } from "./openapi.ts";
import { showRateLimits } from "./rate-limit.ts";
import { answerSpecialRequests, answerWithProblems, refuse, refuseConnection } from "./refusals.ts";
import { readQueryNumbers } from "./request/query.ts";
import type { Documents, RawHandler } from "./routes/documents.ts";
import { addRoutes, type RouteParts } from "./routes.ts";
import { refuseUnknownRoutes } from "./unknown-routes.ts";
import { compileValidator } from "./validation.ts";
import { refuseForeignPages } from "./web-pages.ts";

// Milliseconds within which a client must have sent all headers of a request.
const HEADERS_TIMEOUT_MS = 10_000;
/**
 * Milliseconds within which a client must have sent a whole request. The largest body, 16 MiB, then needs 140
 * kB/s.
 */
const REQUEST_TIMEOUT_MS = 120_000;
/** Milliseconds between two moments at which Node closes connections that are beyond these two limits. */
const CHECK_INTERVAL_MS = 5_000;
/** Milliseconds for which a connection without a request stays open. */
const IDLE_CONNECTION_MS = 72_000;

export type AppParts = {
  readonly backends: Backends;
  readonly clients: Clients;
  readonly drain: Drain;
  readonly registry: Registry;
  readonly log: Log;
  /**
   * Milliseconds for which a client may read nothing of its answer before the gateway closes the connection.
   */
  readonly stalledAfterMs: number;
  /** The certificate with which REST is served over HTTPS; undefined: over HTTP. */
  readonly certificate?: Certificate | undefined;
  /** The host name or address at which the gateway listens. */
  readonly host: string;
  /** Host names that clients may use for this gateway, besides localhost and its IP addresses. */
  readonly hostNames: readonly string[];
};

/** Builds the REST server that calls `backends`; it does not listen yet. */
export async function buildApp({
  backends,
  clients,
  drain,
  registry,
  log,
  stalledAfterMs,
  certificate,
  ...listensAt
}: AppParts): Promise<FastifyInstance> {
  const options = {
    logger: false,
    return503OnClosing: false,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: IDLE_CONNECTION_MS,
    http2SessionTimeout: IDLE_CONNECTION_MS,
    // `ignoreTrailingSlash`: without it GET /executions/ would be taken for an execution with an empty id.
    routerOptions: { maxParamLength: 500, ignoreTrailingSlash: true },
    ...(certificate ? { http2: true, https: httpsOptions(certificate) } : { http: HTTP_OPTIONS }),
    // `refuse` never rejects, so its promise needs no handler.
    frameworkErrors: (error, request, reply) => void refuse(error, request, reply, log),
    clientErrorHandler: refuseConnection,
  } satisfies FastifyServerOptions & Record<string, unknown>;
  // An HTTP/2 server and its requests have what this app uses of those of HTTP/1.1; https/http2.ts adds the rest.
  const app = fastify(options as FastifyServerOptions) as FastifyInstance;
  app.setValidatorCompiler(compileValidator);
  // The schemas of answers are only for the OpenAPI document. Compiling them into serializers would cost
  // start time and change nothing.
  app.setSerializerCompiler(() => JSON.stringify);
  app.addHook("onSend", async ({ raw }, reply) => {
    if (drain.begun && !streamOf(raw)) reply.header("connection", "close");
  });
  // 0 turns off Node's limit of 2,000 headers, because Node would silently drop the rest. Their bytes are
  // limited by maxHeaderSize.
  app.server.maxHeadersCount = 0;
  trackOwedAnswers(app.server);
  endAtUpgrades(app.server);
  answerSpecialRequests(app.server);
  const limit = connectionLimit();
  boundConnections(app.server, limit);
  if (certificate) adaptHttp2(app.server, { maxRequests: limit, bodyTimeoutMs: REQUEST_TIMEOUT_MS });
  // Registered before every hook that may refuse a request, because refusals are answers too, and their
  // memory and time are limited as well.
  boundAnswers(app, stalledAfterMs);
  app.addHook("onRequest", async (request, reply) => {
    if (!(await awaitTurn(request.raw, reply.raw))) reply.hijack();
    else refuseAmbiguous(request.raw);
  });
  refuseForeignPages(app, listensAt);
  observeRequests(app, registry);
  logRequests(app, log);
  answerWithProblems(app, log);
  showRateLimits(app, systemClock);
  refuseUnknownRoutes(app);
  controlAccess(app, clients);
  acceptJsonBodies(app);
  readQueryNumbers(app);
  const documents = describeLazily(registry, log, (described) => addRoutes(described, parts));
  const parts: RouteParts = { backends, drain, documents, rates: clients.rates };
  addRoutes(app, parts);
  await app.ready();
  return app;
}

const HTTP_OPTIONS = {
  headersTimeout: HEADERS_TIMEOUT_MS,
  connectionsCheckingInterval: CHECK_INTERVAL_MS,
  maxHeaderSize: MAX_HEADER_BYTES,
  requireHostHeader: false,
} as const;

/** Options of a server that speaks HTTP/2, and HTTP/1.1 with clients that ask for it or for nothing (ALPN). */
function httpsOptions(certificate: Certificate): SecureServerOptions {
  return {
    ...certificate,
    minVersion: "TLSv1.2",
    handshakeTimeout: HEADERS_TIMEOUT_MS,
    allowHTTP1: true,
    ...HTTP_OPTIONS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: IDLE_CONNECTION_MS,
    // Larger headers than MAX_HEADER_BYTES are read, so that they are refused with a problem document.
    settings: { maxConcurrentStreams: MAX_STREAMS, maxHeaderListSize: 4 * MAX_HEADER_BYTES },
    maxHeaderListPairs: 2_000,
  } as SecureServerOptions;
}

// Logs the route template, never the path or the body, because these may hold secrets.
function logRequests(app: FastifyInstance, log: Log): void {
  app.addHook("onResponse", async (request, reply) => {
    const route = request.routeOptions.url ?? "unmatched";
    const ms = Math.round(reply.elapsedTime);
    log.debug({ method: request.method, route, status: reply.statusCode, ms }, "request");
  });
}

/**
 * Builds the OpenAPI document and its page on their first request, because the libraries for them take as
 * long to load as the rest of the gateway.
 */
function describeLazily(registry: Registry, log: Log, add: (app: FastifyInstance) => void): Documents {
  let document: Promise<object> | undefined;
  let page: Promise<RawHandler> | undefined;
  const openApi = () => {
    document ??= describeApi(add);
    return document;
  };
  return {
    registry,
    openApi,
    docsPage() {
      page ??= openApi().then((described) => buildDocsPage(described, log));
      return page;
    },
  };
}

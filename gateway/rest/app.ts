import { type FastifyInstance, fastify } from "fastify";
import type { Registry } from "prom-client";
import { awaitTurn } from "#common/http/pipelined-requests.ts";
import type { Drain } from "#common/service/drain.ts";
import type { Log } from "#common/service/log.ts";
import type { Backends } from "../backends/backends.ts";
import { refuseAmbiguous } from "./ambiguous-requests.ts";
import { boundAnswers } from "./answers/answers.ts";
import { acceptJsonBodies } from "./body/body.ts";
import { boundConnections, connectionLimit } from "./connections.ts";
import { buildDocsPage } from "./docs-page.ts";
import { observeRequests } from "./metrics.ts";
import { describeApi } from "./openapi.ts";
import { answerWithProblems, refuse, refuseConnection } from "./refusals.ts";
import { readQueryNumbers } from "./request/query.ts";
import type { Documents, RawHandler } from "./routes/documents.ts";
import { addRoutes, type RouteParts } from "./routes.ts";
import { refuseUnknownRoutes } from "./unknown-routes.ts";
import { compileValidator } from "./validation.ts";
import { refuseForeignPages } from "./web-pages.ts";

// How long a client may take to send: all headers, then all of a request. 16 MiB in two minutes is 140 kB/s.
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 120_000;
const CHECK_INTERVAL_MS = 5_000;
const MAX_HEADER_BYTES = 16 * 1024;

export type AppParts = {
  readonly backends: Backends;
  readonly drain: Drain;
  readonly registry: Registry;
  readonly log: Log;
  /** How long a client may take nothing of an answer before its connection is closed. */
  readonly stalledAfterMs: number;
  /** Where it will listen, and what it may be called besides. */
  readonly host: string;
  readonly hostNames: readonly string[];
};

/** The REST edge over `backends`, ready to listen. */
export async function buildApp({
  backends,
  drain,
  registry,
  log,
  stalledAfterMs,
  ...listensAt
}: AppParts): Promise<FastifyInstance> {
  const app = fastify({
    logger: false,
    return503OnClosing: false,
    requestTimeout: REQUEST_TIMEOUT_MS,
    // With a slash behind, GET /executions/ would be taken for an execution without an id.
    routerOptions: { maxParamLength: 500, ignoreTrailingSlash: true },
    http: {
      headersTimeout: HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: CHECK_INTERVAL_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
      requireHostHeader: false,
    },
    // It settles: a refusal has nothing left that could fail.
    frameworkErrors: (error, request, reply) => void refuse(error, request, reply, log),
    clientErrorHandler: refuseConnection,
  });
  app.setValidatorCompiler(compileValidator);
  // The schemas of answers are for the document; compiling them into serializers would only cost start time.
  app.setSerializerCompiler(() => JSON.stringify);
  app.addHook("onSend", async (_request, reply) => {
    if (drain.begun) reply.header("connection", "close");
  });
  // All headers are seen, or none: by itself Node drops those after the first 2,000. Their bytes are limited.
  app.server.maxHeadersCount = 0;
  boundConnections(app.server, connectionLimit());
  // Before all that may refuse a request: a refusal is an answer, too.
  boundAnswers(app, stalledAfterMs);
  app.addHook("onRequest", async (request, reply) => {
    if (!(await awaitTurn(request.raw, reply.raw))) reply.hijack();
    else refuseAmbiguous(request.raw);
  });
  refuseForeignPages(app, listensAt);
  observeRequests(app, registry);
  logRequests(app, log);
  answerWithProblems(app, log);
  refuseUnknownRoutes(app);
  acceptJsonBodies(app);
  readQueryNumbers(app);
  const documents = describeLazily(registry, log, (described) => addRoutes(described, parts));
  const parts: RouteParts = { backends, drain, documents };
  addRoutes(app, parts);
  await app.ready();
  return app;
}

// The template, never the path or the body: those may hold what must not be written down.
function logRequests(app: FastifyInstance, log: Log): void {
  app.addHook("onResponse", async (request, reply) => {
    const route = request.routeOptions.url ?? "unmatched";
    const ms = Math.round(reply.elapsedTime);
    log.debug({ method: request.method, route, status: reply.statusCode, ms }, "request");
  });
}

/**
 * The OpenAPI document and its page are built when somebody first asks: what makes them takes as long to load as all
 * the rest of the gateway.
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

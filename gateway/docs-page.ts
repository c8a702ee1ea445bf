import { fastify } from "fastify";
import type { Log } from "../services/common/log.ts";
import { answerWithProblems } from "./refusals.ts";
import type { RawHandler } from "./routes/documents.ts";
import { refuseUnknownRoutes } from "./unknown-routes.ts";

/** Serves swagger-ui below /docs, over `document`, from an app of its own so that it loads only when it is wanted. */
export async function buildDocsPage(document: object, log: Log): Promise<RawHandler> {
  const { default: swagger } = await import("@fastify/swagger");
  const { default: swaggerUi } = await import("@fastify/swagger-ui");
  const app = fastify({ logger: false });
  answerWithProblems(app, log);
  refuseUnknownRoutes(app);
  await app.register(swagger, { mode: "static", specification: { document: document as never } });
  await app.register(swaggerUi, { routePrefix: "/docs", uiConfig: { deepLinking: true } });
  await app.ready();
  return app.routing;
}

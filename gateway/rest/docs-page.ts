import { fastify } from "fastify";
import type { Log } from "#common/service/log.ts";
import { answerWithProblems } from "./refusals.ts";
import type { RawHandler } from "./routes/documents.ts";
import { refuseUnknownRoutes } from "./unknown-routes.ts";

const ICON =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7" fill="#2b3a55"/><circle cx="8" cy="8" r="3" fill="#fff"/></svg>';
// Hides the link to swagger-ui's own copy of the document, because the document is at /openapi.json.
const STYLE = ".swagger-ui .info hgroup.main > a { display: none }";

/**
 * Serves swagger-ui below /docs for `document`. The page is a fastify app of its own, so that its libraries
 * are loaded only on demand.
 */
export async function buildDocsPage(document: object, log: Log): Promise<RawHandler> {
  const { default: swagger } = await import("@fastify/swagger");
  const { default: swaggerUi } = await import("@fastify/swagger-ui");
  const app = fastify({ logger: false });
  answerWithProblems(app, log);
  refuseUnknownRoutes(app);
  await app.register(swagger, { mode: "static", specification: { document: document as never } });
  await app.register(swaggerUi, {
    routePrefix: "/docs",
    // This layout has no top bar, which would show the logo of another product.
    uiConfig: { deepLinking: true, layout: "BaseLayout" },
    theme: {
      title: "Airlock: the REST API",
      favicon: [{ filename: "airlock.svg", rel: "icon", sizes: "any", type: "image/svg+xml", content: ICON }],
      css: [{ filename: "airlock.css", content: STYLE }],
    },
  });
  await app.ready();
  return app.routing;
}

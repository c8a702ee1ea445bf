import type { FastifyInstance } from "fastify";
import type { Drain } from "#common/service/drain.ts";
import type { Backends } from "../backends/backends.ts";
import type { RequestRates } from "./rate-limit.ts";
import { deadLetterRoutes } from "./routes/dead-letters.ts";
import { type Documents, documentRoutes } from "./routes/documents.ts";
import { executeRoute } from "./routes/execute.ts";
import { executionListRoute } from "./routes/execution-list.ts";
import { executionRoutes } from "./routes/executions.ts";
import { frontPageRoute } from "./routes/front-page.ts";
import { grantRoutes } from "./routes/grants.ts";
import { healthRoutes } from "./routes/health.ts";
import { identityRoutes } from "./routes/identity.ts";
import { loginRoutes } from "./routes/login.ts";
import { projectRoutes } from "./routes/projects.ts";
import { redactionsRoute } from "./routes/redactions.ts";
import { sessionRoutes } from "./routes/session.ts";

export type RouteParts = {
  readonly backends: Backends;
  readonly drain: Drain;
  readonly documents: Documents;
  /** Counts the requests of clients; undefined: they are not counted. */
  readonly rates: RequestRates | undefined;
};

/** Registers every route of the REST API. */
export function addRoutes(app: FastifyInstance, { backends, drain, documents, rates }: RouteParts): void {
  executeRoute(app, backends.router, drain, rates);
  executionRoutes(app, backends.router, drain);
  executionListRoute(app, backends.router);
  redactionsRoute(app, backends.router);
  deadLetterRoutes(app, backends.router);
  projectRoutes(app, backends);
  identityRoutes(app, backends.authority, rates);
  grantRoutes(app, backends.authority);
  sessionRoutes(app, backends.authority, rates);
  loginRoutes(app, backends.authority);
  healthRoutes(app, backends);
  documentRoutes(app, backends, documents);
  frontPageRoute(app);
}

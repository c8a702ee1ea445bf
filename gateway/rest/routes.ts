import type { FastifyInstance } from "fastify";
import type { Drain } from "#common/service/drain.ts";
import type { Backend } from "../backends/backend.ts";
import { deadLetterRoutes } from "./routes/dead-letters.ts";
import { type Documents, documentRoutes } from "./routes/documents.ts";
import { executeRoute } from "./routes/execute.ts";
import { executionListRoute } from "./routes/execution-list.ts";
import { executionRoutes } from "./routes/executions.ts";
import { frontPageRoute } from "./routes/front-page.ts";
import { healthRoutes } from "./routes/health.ts";
import { projectRoutes } from "./routes/projects.ts";
import { redactionsRoute } from "./routes/redactions.ts";

export type RouteParts = {
  readonly backend: Backend;
  readonly drain: Drain;
  readonly documents: Documents;
};

/** Every route of the REST contract. */
export function addRoutes(app: FastifyInstance, { backend, drain, documents }: RouteParts): void {
  executeRoute(app, backend, drain);
  executionRoutes(app, backend, drain);
  executionListRoute(app, backend);
  redactionsRoute(app, backend);
  deadLetterRoutes(app, backend);
  projectRoutes(app, backend);
  healthRoutes(app, backend);
  documentRoutes(app, backend, documents);
  frontPageRoute(app);
}

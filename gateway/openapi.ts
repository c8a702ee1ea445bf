import swagger from "@fastify/swagger";
import swaggerUi from "@fastify/swagger-ui";
import type { FastifyInstance } from "fastify";
import { EXECUTION } from "./schemas/execution.ts";
import { EXECUTION_LIST } from "./schemas/execution-list.ts";
import { PROBLEM } from "./schemas/problem.ts";
import { PROJECT, PROJECT_LIST } from "./schemas/project.ts";

type Operation = { operationId?: string; requestBody?: { required: boolean } };

/** Builds the OpenAPI document out of the schemas that the routes validate with; register it before the routes. */
export async function describeApi(app: FastifyInstance): Promise<void> {
  for (const schema of [EXECUTION, EXECUTION_LIST, PROJECT, PROJECT_LIST, PROBLEM]) app.addSchema(schema);
  const optionalBodies = new Set<string | undefined>();
  app.addHook("onRoute", ({ config, schema }) => {
    if (config?.bodyOptional) optionalBodies.add((schema as Operation | undefined)?.operationId);
  });
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Airlock",
        version: "1.0.0",
        description:
          "Runs an agent's Python next to real credentials; only redacted output comes back. Submit a script, poll its execution, answer its questions.",
      },
      servers: [{ url: "/" }],
      tags: [
        { name: "executions", description: "Scripts that ran, run or wait." },
        { name: "projects", description: "Where scripts run: packages, settings, workers." },
        { name: "operation", description: "Health, figures and this document." },
      ],
    },
    refResolver: { buildLocalReference: ({ $id }, _base, _fragment, index) => String($id ?? `def-${index}`) },
    transformObject: (document) => {
      const { openapiObject } = document as {
        openapiObject: { paths: Record<string, Record<string, Operation>> };
      };
      for (const operation of Object.values(openapiObject.paths).flatMap((path) => Object.values(path))) {
        if (operation.requestBody)
          operation.requestBody.required = !optionalBodies.has(operation.operationId);
      }
      return openapiObject;
    },
  });
  await app.register(swaggerUi, { routePrefix: "/docs", uiConfig: { deepLinking: true } });
}

import { type FastifyInstance, type FastifySchema, fastify } from "fastify";
import { components, withReferences } from "./schemas/components.ts";
import { RATE_HEADERS } from "./schemas/rate-headers.ts";

const INFO = {
  title: "Airlock",
  version: "1.0.0",
  description:
    "Runs an agent's Python next to real credentials; only redacted output comes back. Submit a script, poll its execution, respond to its llm requests. This document is at [/openapi.json](/openapi.json); agents read [/skill.md](/skill.md). Its version is that of the contract, not of the program.",
  contact: { name: "The operator of this instance" },
} as const;

const KEY_SCHEME = {
  type: "http",
  scheme: "bearer",
  description: "An API key (alk_...), where the operator demands one (AIRLOCK_AUTH).",
} as const;

const TAGS = [
  { name: "executions", description: "Scripts that ran, run or wait." },
  { name: "projects", description: "Where scripts run: packages, settings, workers." },
  { name: "identity", description: "Who calls, API keys and roles." },
  { name: "operation", description: "Health, figures and this document." },
];

/** Builds the OpenAPI document of the routes from the schemas that validate requests. */
export async function describeApi(addRoutes: (app: FastifyInstance) => void): Promise<object> {
  const { default: swagger } = await import("@fastify/swagger");
  const app = fastify({ logger: false });
  app.setValidatorCompiler(() => () => true);
  app.setSerializerCompiler(() => JSON.stringify);
  for (const schema of components()) app.addSchema(schema);
  app.addHook("onRoute", (route) => {
    const schema = route.config?.countedAs === "nothing" ? route.schema : withRateHeaders(route.schema);
    route.schema = withReferences(schema) as FastifySchema;
  });
  const bodyOptional = operationsWithOptionalBody(app);
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: INFO,
      servers: [{ url: "/" }],
      tags: TAGS,
      components: { securitySchemes: { key: KEY_SCHEME } },
      // The empty requirement: whether a key is needed is the operator's choice.
      security: [{ key: [] }, {}],
    },
    refResolver: { buildLocalReference: ({ $id }, _base, _fragment, index) => String($id ?? `def-${index}`) },
    // @fastify/swagger marks every request body as required, so optional ones are corrected here.
    transformObject: (document) => markOptionalBodies(document, bodyOptional),
  });
  await app.register(async (routes) => addRoutes(routes));
  await app.ready();
  return app.swagger();
}

type Response = { readonly description?: string; readonly headers?: object };

/** The schema with the header fields of the limits in each answer that is no problem. */
function withRateHeaders(schema: FastifySchema | undefined): FastifySchema {
  const responses = Object.entries((schema?.response ?? {}) as Record<string, Response>);
  const response = responses.map(([status, each]) => [
    status,
    status.startsWith("2") ? { ...each, headers: { ...each.headers, ...RATE_HEADERS } } : each,
  ]);
  return { ...schema, response: Object.fromEntries(response) };
}

type Operation = { operationId?: string; requestBody?: { required: boolean } };

function operationsWithOptionalBody(app: FastifyInstance): ReadonlySet<string | undefined> {
  const operations = new Set<string | undefined>();
  app.addHook("onRoute", ({ config, schema }) => {
    if (config?.bodyOptional) operations.add((schema as Operation | undefined)?.operationId);
  });
  return operations;
}

function markOptionalBodies(document: object, bodyOptional: ReadonlySet<string | undefined>): object {
  const { openapiObject } = document as {
    openapiObject: { paths: Record<string, Record<string, Operation>> };
  };
  for (const operation of Object.values(openapiObject.paths).flatMap((path) => Object.values(path))) {
    if (operation.requestBody) operation.requestBody.required = !bodyOptional.has(operation.operationId);
  }
  return openapiObject;
}

import type { IncomingMessage, ServerResponse } from "node:http";
import type { FastifyInstance } from "fastify";
import type { Registry } from "prom-client";
import type { Backends } from "../../backends/backends.ts";
import { listProjects } from "../../use-cases/projects.ts";
import { backendCall } from "../request/backend-call.ts";
import { baseUrl } from "../request/base-url.ts";
import { problemResponses, SERVICE_CODES } from "../schemas/problem.ts";
import { skillPage } from "../skill-page.ts";

const tags = ["operation"];
const text = (mediaType: string, description: string) => ({
  description,
  content: { [mediaType]: { schema: { type: "string" } } },
});

export type RawHandler = (request: IncomingMessage, response: ServerResponse) => void;

export type Documents = {
  readonly registry: Registry;
  /** The OpenAPI document of every route. */
  openApi(): Promise<object>;
  /** The handler of the readable API page, at /docs, and of the files that it loads. */
  docsPage(): Promise<RawHandler>;
};

/**
 * Routes that describe this instance: for agents (/skill.md), for programs (/openapi.json), for monitoring
 * (/metrics), for people (/docs).
 */
export function documentRoutes(app: FastifyInstance, backends: Backends, documents: Documents): void {
  app.get(
    "/openapi.json",
    {
      config: { permission: "public.read" },
      schema: {
        operationId: "getOpenApi",
        tags,
        summary: "This document",
        description: "OpenAPI 3.1 of every route.",
        response: {
          200: {
            description: "OpenAPI 3.1.",
            content: { "application/json": { schema: { type: "object" } } },
          },
          ...problemResponses(),
        },
      },
    },
    () => documents.openApi(),
  );

  app.get(
    "/skill.md",
    {
      config: { permission: "project.read" },
      schema: {
        operationId: "getSkill",
        tags,
        summary: "One page that teaches an agent to use this instance",
        description: "With the projects that accept executions, the SDK and the polling loop; Markdown.",
        response: { 200: text("text/markdown", "The page."), ...problemResponses(...SERVICE_CODES) },
      },
    },
    async (request, reply) => {
      const listed = await listProjects(backends, backendCall(reply));
      const usable = listed.filter(({ problem, held }) => problem === "" && held !== true);
      reply.type("text/markdown; charset=utf-8");
      // A client that needs no key shows none.
      return skillPage(baseUrl(request), usable, request.access.shown !== undefined);
    },
  );

  app.get(
    "/metrics",
    {
      config: { permission: "metrics.read" },
      schema: {
        operationId: "getMetrics",
        tags,
        summary: "Figures for Prometheus",
        description: "Of the gateway, and with ./airlock up of every service.",
        response: { 200: text("text/plain", "Prometheus text format."), ...problemResponses() },
      },
    },
    async (_request, reply) => {
      reply.type(documents.registry.contentType);
      return documents.registry.metrics();
    },
  );

  for (const url of ["/docs", "/docs/*"]) {
    app.get(
      url,
      {
        config: { permission: "public.read" },
        schema: {
          operationId: "getDocs",
          hide: url !== "/docs",
          tags,
          summary: "This document as a page for people",
          description: "Calls can be tried on it.",
          response: { 200: text("text/html", "The page."), ...problemResponses() },
        },
      },
      async (request, reply) => {
        const serve = await documents.docsPage();
        reply.hijack();
        reply.stalledAnswers.watch(reply.raw);
        serve(request.raw, reply.raw);
      },
    );
  }
}

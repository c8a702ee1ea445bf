import type { FastifyInstance, FastifyReply } from "fastify";
import { AirlockError } from "#common/errors.ts";
import { has } from "#common/identity/roles.ts";
import type { Dependency } from "#proto/readiness.ts";
import type { Backends } from "../../backends/backends.ts";
import type { BackendCall } from "../../backends/call.ts";
import { type Problem, problemHeaders, toProblem } from "../problems.ts";
import { backendCall } from "../request/backend-call.ts";
import { HEALTH, READINESS } from "../schemas/health.ts";
import { problemResponses } from "../schemas/problem.ts";

const LIST_MS = 2_000;
const tags = ["operation"];

export function healthRoutes(app: FastifyInstance, backends: Backends): void {
  app.get(
    "/health",
    {
      config: { permission: "public.read", countedAs: "nothing" },
      schema: {
        operationId: "getHealth",
        tags,
        summary: "Whether the gateway is alive",
        description: "Depends on nothing else; GET /ready asks the other services.",
        response: {
          200: { description: "Alive.", content: { "application/json": { schema: HEALTH } } },
          ...problemResponses(),
        },
      },
    },
    async () => ({ status: "ok" }),
  );

  app.get(
    "/ready",
    {
      config: { permission: "public.read", countedAs: "nothing" },
      schema: {
        operationId: "getReadiness",
        tags,
        summary: "Whether every service can do its work",
        description: "Asks every service behind the gateway; a 503 names those that are missing.",
        response: {
          200: { description: "All are ready.", content: { "application/json": { schema: READINESS } } },
          ...problemResponses("unavailable"),
        },
      },
    },
    async (request, reply: FastifyReply) => {
      const [dependencies, broken] = await Promise.all([
        backends.readiness(),
        brokenProjects(backends, backendCall(reply)),
      ]);
      const missing = dependencies.filter(({ ready }) => !ready);
      const grants = dependencies.find(({ name }) => name === "grants");
      const services = Object.fromEntries(
        dependencies
          .filter((each) => each !== grants)
          .map(({ name, ready }) => [name, ready ? "ready" : "unavailable"]),
      );
      const isDetailed = has(request.access.principal, "project.read");
      if (missing.length === 0)
        return {
          status: "ready",
          ...(isDetailed && {
            services,
            broken_projects: broken,
            ...(grants && { broken_grants: grants.detail }),
          }),
        };
      const problem: Problem = isDetailed
        ? { ...toProblem(notReady(missing)), services }
        : toProblem(new AirlockError("unavailable", "Not ready. Try again in a few seconds."));
      // The body is sent as a string, because fastify refuses to serialize a media type that the 200 response
      // does not declare.
      return reply.code(503).headers(problemHeaders(problem)).send(JSON.stringify(problem));
    },
  );
}

/**
 * The names of projects whose file or workers have a problem. Empty while the pool-manager does not answer,
 * because GET /ready reports in `services` that the pool-manager is not ready.
 */
async function brokenProjects(backends: Backends, { principal, passes }: BackendCall): Promise<string[]> {
  const call = { principal, passes, signal: AbortSignal.timeout(LIST_MS) };
  const listed = await backends.poolManager.listProjects(call).catch(() => []);
  return listed.filter(({ problem }) => problem !== "").map(({ name }) => name);
}

function notReady(missing: readonly Dependency[]): AirlockError {
  const list = missing.map(({ name, detail }) => (detail ? `${name} (${detail.replace(/\.$/, "")})` : name));
  return new AirlockError("unavailable", `Not ready: ${list.join(", ")}. Try again in a few seconds.`);
}

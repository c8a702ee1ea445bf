import type { FastifyInstance } from "fastify";
import { AirlockError } from "#common/errors.ts";

type Known = { readonly pattern: RegExp; readonly methods: Set<string> };

/**
 * Refuses requests that no route serves, before their body is read: 405 with an Allow header where the path
 * exists, otherwise 404. Must be registered before the routes.
 */
export function refuseUnknownRoutes(app: FastifyInstance): void {
  const known = new Map<string, Known>();
  app.addHook("onRoute", ({ url, method }) => {
    const entry = known.get(url) ?? { pattern: toPattern(url), methods: new Set() };
    for (const name of [method].flat()) entry.methods.add(name);
    known.set(url, entry);
  });
  app.addHook("onRequest", async (request, reply) => {
    if (!request.is404) return;
    const path = request.url.split("?", 1)[0] ?? "";
    const methods = [...known.values()]
      .filter(({ pattern }) => pattern.test(path))
      .flatMap((entry) => [...entry.methods]);
    if (methods.length === 0) throw noSuchRoute();
    const allowed = [...new Set(methods)].sort().join(", ");
    reply.header("allow", allowed);
    throw new AirlockError("method_not_allowed", `This path takes ${allowed} only.`);
  });
}

/** The 404 error for a path that no route serves. */
export function noSuchRoute(): AirlockError {
  return new AirlockError(
    "route_not_found",
    "Nothing is served at this path. Submit scripts with POST /execute, poll GET /executions/{execution_id}, list GET /projects; GET /skill.md teaches the rest and GET /openapi.json has every route.",
  );
}

function toPattern(url: string): RegExp {
  const source = url
    .split("/")
    .map((part) => {
      if (part === "*") return ".*";
      return part.startsWith(":") ? "[^/]+" : part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    })
    .join("/");
  return new RegExp(`^${source}$`);
}

import type { FastifyInstance } from "fastify";
import { problemResponses } from "../schemas/problem.ts";
import { noSuchRoute } from "../unknown-routes.ts";
import { PAGE_HEADERS } from "../web-pages.ts";

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Airlock</title>
<style>body{font:16px/1.6 system-ui,sans-serif;max-width:40em;margin:3em auto;padding:0 1em;color-scheme:light dark}</style>
<h1>Airlock</h1>
<p>Runs an agent's Python next to real credentials; only redacted output comes back.</p>
<ul>
<li><a href="docs">docs</a>: the REST API, to read and to try</li>
<li><a href="skill.md">skill.md</a>: one page that teaches an agent to use this instance</li>
<li><a href="openapi.json">openapi.json</a>: the API for programs that generate clients</li>
<li><a href="projects">projects</a>, <a href="executions">executions</a>, <a href="ready">ready</a>: how this instance is</li>
</ul>
</html>
`;

/** Serves a page of links to browsers at /. Programs get a 404 that names the API's routes. */
export function frontPageRoute(app: FastifyInstance): void {
  app.get(
    "/",
    {
      config: { permission: "public.read" },
      schema: {
        operationId: "getFrontPage",
        tags: ["operation"],
        summary: "Links for a person with a browser",
        description: "Only for requests that accept text/html.",
        response: {
          200: { description: "The page.", content: { "text/html": { schema: { type: "string" } } } },
          ...problemResponses("route_not_found"),
        },
      },
    },
    async (request, reply) => {
      reply.header("vary", "accept, origin");
      if (!request.headers.accept?.includes("text/html")) throw noSuchRoute();
      reply
        .type("text/html; charset=utf-8")
        .header(
          "content-security-policy",
          `default-src 'none'; style-src 'unsafe-inline'; ${PAGE_HEADERS["content-security-policy"]}`,
        );
      return PAGE;
    },
  );
}

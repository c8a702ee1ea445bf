import type { FastifyInstance } from "fastify";
import { AirlockError } from "#common/errors.ts";
import type { AuthorityBackend } from "../../backends/authority.ts";
import { NO_QUERY } from "../schemas/execution.ts";
import { problemResponses, SERVICE_CODES } from "../schemas/problem.ts";
import { callbackUrl, cookieFor, loginCookie, shownLogin } from "../session-cookie.ts";
import { PAGE_HEADERS } from "../web-pages.ts";

const tags = ["identity"];
/** The answers' URLs and cookies are for this browser and this moment only. */
const PRIVATE = { "cache-control": "no-store", "referrer-policy": "no-referrer" } as const;
// The page loads the front page itself: a browser does not send the new cookie along with a redirect that another
// site began.
const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url=/">
<title>Airlock</title>
<p>You are logged in. <a href="/">Go on</a></p>
</html>
`;

/**
 * Routes with which a person logs in at the operator's OpenID provider. Neither takes a URL to go to afterwards,
 * so that neither can send a browser anywhere else.
 */
export function loginRoutes(app: FastifyInstance, authority: AuthorityBackend): void {
  app.get(
    "/session/login",
    {
      config: { permission: "public.read" },
      schema: {
        operationId: "beginLogin",
        tags,
        summary: "Log a person in at the OpenID provider",
        description: "Sends the browser to the provider, which sends it back to /session/callback.",
        querystring: NO_QUERY,
        response: {
          303: {
            description: "To the provider.",
            headers: { Location: { type: "string", description: "The provider's page." } },
          },
          ...problemResponses("invalid_request", "route_not_found", "https_required", ...SERVICE_CODES),
        },
      },
    },
    async ({ raw }, reply) => {
      const { url, secrets } = await authority.beginLogin(callbackUrl(raw));
      return reply
        .code(303)
        .headers({ ...PRIVATE, location: url, "set-cookie": loginCookie(raw, secrets) })
        .send();
    },
  );

  app.get(
    "/session/callback",
    {
      config: { permission: "public.read" },
      schema: {
        operationId: "finishLogin",
        tags,
        summary: "Where the OpenID provider sends the browser back to",
        description: "Gives the browser that began the login a session, as POST /session does.",
        response: {
          200: {
            description: "A page that leads to the front page.",
            headers: { "Set-Cookie": { type: "string", description: "The session's cookie." } },
            content: { "text/html": { schema: { type: "string" } } },
          },
          ...problemResponses("login_failed", "route_not_found", "https_required", ...SERVICE_CODES),
        },
      },
    },
    async ({ raw, url }, reply) => {
      const redirectUri = callbackUrl(raw);
      const secrets = shownLogin(raw);
      if (secrets === undefined) throw notBegun();
      const at = url.indexOf("?");
      // A login can be ended once: whatever comes of it, its secrets leave the browser.
      reply.header("set-cookie", loginCookie(raw, ""));
      const id = await authority.finishLogin(redirectUri, secrets, at === -1 ? "" : url.slice(at));
      return reply
        .headers({
          ...PRIVATE,
          "content-security-policy": `default-src 'none'; ${PAGE_HEADERS["content-security-policy"]}`,
        })
        .header("set-cookie", cookieFor(raw, id))
        .type("text/html; charset=utf-8")
        .send(PAGE);
    },
  );
}

function notBegun(): AirlockError {
  return new AirlockError(
    "login_failed",
    "This browser has begun no login, or more than ten minutes ago. Begin at /session/login.",
  );
}

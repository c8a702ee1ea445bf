import type { FastifyInstance } from "fastify";
import { AirlockError } from "#common/errors.ts";
import { readApiKey } from "#common/identity/api-key.ts";
import type { AuthorityBackend } from "../../backends/authority.ts";
import { meView } from "../identity-view.ts";
import type { RequestRates } from "../rate-limit.ts";
import { backendCall } from "../request/backend-call.ts";
import { NO_QUERY } from "../schemas/execution.ts";
import { ME } from "../schemas/identity.ts";
import { problemResponses, SERVICE_CODES } from "../schemas/problem.ts";
import { cookieFor, cookieRemoval, refuseForeignChange } from "../session-cookie.ts";

const tags = ["identity"];
const headers = { "Set-Cookie": { type: "string", description: "The session's cookie." } } as const;

/** Routes with which a browser logs in with an API key, and out. */
export function sessionRoutes(
  app: FastifyInstance,
  authority: AuthorityBackend,
  rates: RequestRates | undefined,
): void {
  app.post(
    "/session",
    {
      config: { permission: "execution.read" },
      schema: {
        operationId: "createSession",
        tags,
        summary: "Log a browser in",
        description:
          "With an API key in the Authorization header. The cookie in the answer stands for the key, for pages of this Airlock only, until DELETE /session, eight hours without a request, or the end of the key.",
        querystring: NO_QUERY,
        response: {
          201: {
            description: "You, as GET /me says.",
            headers,
            content: { "application/json": { schema: ME } },
          },
          ...problemResponses("invalid_request", "https_required", ...SERVICE_CODES),
        },
      },
    },
    async ({ access, raw, headers: sent }, reply) => {
      const { shown } = access;
      if (!shown || !("bearer" in shown) || !readApiKey(shown.bearer)) throw keyNeeded();
      // Another site could log a person in as somebody else, and read what that person then does.
      if (sent.origin !== undefined) refuseForeignChange(raw);
      // Refuses before the session is made.
      cookieFor(raw, "");
      const { id, principal, expiresAtMs } = await authority.createSession(shown.bearer, backendCall(reply));
      reply.code(201).header("set-cookie", cookieFor(raw, id)).header("cache-control", "no-store");
      return meView({ principal, expiresAtMs }, await rates?.left(access));
    },
  );

  app.delete(
    "/session",
    {
      config: { permission: "execution.read" },
      schema: {
        operationId: "endSession",
        tags,
        summary: "Log the browser out",
        description: "Ends the session that the cookie shows; every gateway refuses it within a second.",
        querystring: NO_QUERY,
        response: {
          204: { type: "null", description: "The session has ended. Without one nothing happens." },
          ...problemResponses("invalid_request", ...SERVICE_CODES),
        },
      },
    },
    async ({ access, raw }, reply) => {
      const { shown } = access;
      if (shown && "session" in shown) {
        await authority.endSession(shown.session, backendCall(reply));
        const removal = cookieRemoval(raw);
        if (removal !== undefined) reply.header("set-cookie", removal);
      }
      reply.code(204).header("cache-control", "no-store");
    },
  );
}

function keyNeeded(): AirlockError {
  return new AirlockError(
    "unauthenticated",
    "A session stands for an API key: send one in the Authorization header. An Airlock that demands no credential (AIRLOCK_AUTH=off) has no sessions.",
  );
}

import type { IncomingMessage } from "node:http";
import type { FastifyInstance } from "fastify";
import { AirlockError, hasCode } from "#common/errors.ts";
import { permissionDenied } from "#common/identity/permission-denied.ts";
import { DEFAULT_TENANT, LOCAL_PRINCIPAL, type Principal } from "#common/identity/principal.ts";
import { has, type Permission } from "#common/identity/roles.ts";
import type { Credentials } from "../authentication/credentials.ts";
import type { Authenticated } from "../backends/authority.ts";
import type { RequestRates } from "./rate-limit.ts";

/** Who sent a request, when its credential ends, and how many changes a minute that allows. */
export type Access = Pick<Authenticated, "principal" | "expiresAtMs" | "rate">;

declare module "fastify" {
  interface FastifyRequest {
    /** Who sent the request; set before the route's handler runs. */
    access: Access;
  }
  interface FastifyContextConfig {
    /** The permission that the client needs for this route. */
    permission?: Permission;
  }
}

const LOCAL: Access = { principal: LOCAL_PRINCIPAL, expiresAtMs: undefined };
const ANONYMOUS_PRINCIPAL: Principal = {
  id: "anonymous",
  kind: "service",
  tenant: DEFAULT_TENANT,
  role: "anonymous",
};
const ANONYMOUS: Access = { ...LOCAL, principal: ANONYMOUS_PRINCIPAL };
const BEARER = /^Bearer +([\x21-\x7e]+)$/i;

// The errors of credentials that open nothing.
const REFUSED = ["unauthenticated", "no_grant", "tenant_required"] as const;

/**
 * Finds out who sends each request, and refuses what that principal may not do: 401 without a valid credential
 * where the route needs one, 403 without the route's permission. `credentials` is undefined where clients need
 * none; every client is then the user of this deployment. `rates` counts each request before its permission is
 * looked at: 429 when there were too many; undefined: nothing is counted. Must be registered before the routes,
 * each of which must say its permission.
 */
export function controlAccess(
  app: FastifyInstance,
  credentials: Credentials | undefined,
  rates: RequestRates | undefined,
): void {
  app.decorateRequest("access");
  app.addHook("onRoute", ({ url, config }) => {
    if (!config?.permission) throw new Error(`the route ${url} names no permission`);
  });
  app.addHook("onRequest", async (request, reply) => {
    const { permission } = request.routeOptions.config;
    // A path that no route serves; every other route has a permission.
    if (!permission) return;
    try {
      request.access = credentials ? await accessOf(request.raw, credentials) : LOCAL;
    } catch (error) {
      // A client that guesses credentials is counted like one without.
      if (REFUSED.some((code) => hasCode(error, code))) await rates?.count(request, ANONYMOUS);
      if (hasCode(error, "unauthenticated")) reply.header("www-authenticate", 'Bearer error="invalid_token"');
      throw error;
    }
    await rates?.count(request, request.access);
    const { principal } = request.access;
    if (has(principal, permission)) return;
    if (principal.role !== "anonymous") throw permissionDenied(principal, permission);
    reply.header("www-authenticate", "Bearer");
    throw new AirlockError(
      "unauthenticated",
      'This call needs a credential. Send the header "Authorization: Bearer KEY" with an API key of Airlock (alk_...) or a token of your OpenID provider; the operator gives you one.',
    );
  });
}

async function accessOf(request: IncomingMessage, credentials: Credentials): Promise<Access> {
  const sent = sentCredentials(request);
  if (sent.length === 0) return ANONYMOUS;
  if (sent.length > 1) {
    throw new AirlockError("unauthenticated", "The request has two Authorization headers. Send one.");
  }
  const credential = BEARER.exec(sent[0] ?? "")?.[1];
  if (credential === undefined) {
    throw new AirlockError(
      "unauthenticated",
      'The Authorization header is not "Bearer KEY" with an API key of Airlock (alk_...) or a token.',
    );
  }
  const tenant = request.headers["airlock-tenant"];
  return await credentials.whose(credential, tenant === undefined ? undefined : String(tenant));
}

/** All Authorization headers. Node itself keeps only the first, and would not tell that there was another. */
function sentCredentials({ rawHeaders }: IncomingMessage): string[] {
  return rawHeaders.filter((_, n) => n % 2 === 1 && rawHeaders[n - 1]?.toLowerCase() === "authorization");
}

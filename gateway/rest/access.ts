import type { IncomingMessage } from "node:http";
import type { FastifyInstance, FastifyReply } from "fastify";
import { AirlockError, hasCode } from "#common/errors.ts";
import type { AuthMode } from "#common/identity/auth-mode.ts";
import { permissionDenied } from "#common/identity/permission-denied.ts";
import { DEFAULT_TENANT, LOCAL_PRINCIPAL, type Principal } from "#common/identity/principal.ts";
import { has, type Permission } from "#common/identity/roles.ts";
import { isSessionId } from "#common/identity/session-id.ts";
import type { Credentials } from "../authentication/credentials.ts";
import type { Authenticated } from "../backends/authority.ts";
import type { RequestRates } from "./rate-limit.ts";
import { cookieRemoval, refuseForeignChange, shownSession } from "./session-cookie.ts";

/**
 * Who sent a request, when its credential ends, how many changes a minute that allows, and the passes for the calls
 * that the request needs.
 */
export type Access = Pick<Authenticated, "principal" | "expiresAtMs" | "rate" | "passes"> & {
  /** What the client showed; undefined: nothing, because it is anonymous or needs no credential. */
  readonly shown?: { readonly bearer: string } | { readonly session: string };
};

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

// The errors of credentials that open nothing, and of an Airlock-Tenant that is no name (`invalid_request`).
const REFUSED = ["unauthenticated", "no_grant", "tenant_required", "invalid_request"] as const;

/** How the gateway finds out who its clients are. */
export type Clients = {
  readonly auth: AuthMode;
  /**
   * Undefined where clients need no credential, and the services behind the gateway no passes: every client is
   * then the user of this deployment.
   */
  readonly credentials: Credentials | undefined;
  /** Counts the requests of clients; undefined: they are not counted. */
  readonly rates: RequestRates | undefined;
};

/**
 * Finds out who sends each request, and refuses what that principal may not do: 401 without a valid credential
 * where the route needs one, 403 without the route's permission. Each request is counted before its permission is
 * looked at: 429 when there were too many. Must be registered before the routes, each of which must say its
 * permission.
 */
export function controlAccess(app: FastifyInstance, { auth, credentials, rates }: Clients): void {
  app.decorateRequest("access");
  app.addHook("onRoute", ({ url, config }) => {
    if (!config?.permission) throw new Error(`the route ${url} names no permission`);
  });
  app.addHook("onRequest", async (request, reply) => {
    const { permission } = request.routeOptions.config;
    // A path that no route serves; every other route has a permission.
    if (!permission) return;
    let showsEndedSession = false;
    try {
      if (!credentials) request.access = LOCAL;
      else if (auth === "off") request.access = await localAccess(credentials, permission);
      else {
        describeCaching(request.raw, reply);
        request.access = await accessOf(request.raw, credentials);
      }
    } catch (error) {
      const isBySession = hasCode(error, "unauthenticated") && sentCredentials(request.raw).length === 0;
      // A page's script cannot drop the cookie of an ended session.
      if (isBySession) dropCookie(request.raw, reply);
      // What is public can be read with an ended session, too, or a person would see no page to log in on.
      if (!isBySession || !has(ANONYMOUS.principal, permission)) {
        // A client that guesses credentials is counted like one without.
        if (REFUSED.some((code) => hasCode(error, code)))
          await rates?.count(request, ANONYMOUS, { isGuess: true });
        if (hasCode(error, "unauthenticated"))
          reply.header("www-authenticate", 'Bearer error="invalid_token"');
        throw error;
      }
      request.access = ANONYMOUS;
      showsEndedSession = true;
    }
    await rates?.count(request, request.access, { isGuess: showsEndedSession });
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

/** Says that the answer depends on the cookie, and that the answer to a session is kept nowhere. */
function describeCaching(request: IncomingMessage, { raw }: FastifyReply): void {
  const vary = raw.getHeader("vary");
  raw.setHeader("vary", vary === undefined ? "cookie" : `${vary}, cookie`);
  if (request.headers.cookie !== undefined) raw.setHeader("cache-control", "no-store");
}

function dropCookie(request: IncomingMessage, reply: FastifyReply): void {
  const removal = cookieRemoval(request);
  if (removal !== undefined) reply.header("set-cookie", removal);
}

/** The user of this deployment, with passes for the services that the gateway calls over a network. */
async function localAccess(credentials: Credentials, permission: Permission): Promise<Access> {
  const local = credentials.whose("");
  // What is public, such as the health of this gateway, depends on no other service.
  return permission === "public.read" ? await local.catch(() => LOCAL) : await local;
}

async function accessOf(request: IncomingMessage, credentials: Credentials): Promise<Access> {
  const sent = sentCredentials(request);
  const session = shownSession(request);
  if (session !== undefined) return await accessBySession(request, session, sent, credentials);
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
  if (isSessionId(credential)) {
    throw new AirlockError(
      "unauthenticated",
      "The Authorization header has the id of a session, which only a browser's cookie may show. Send an API key.",
    );
  }
  return { ...(await credentials.whose(credential, tenantOf(request))), shown: { bearer: credential } };
}

async function accessBySession(
  request: IncomingMessage,
  session: string,
  sent: readonly string[],
  credentials: Credentials,
): Promise<Access> {
  if (sent.length > 0) {
    throw new AirlockError(
      "unauthenticated",
      "The request has a session's cookie and an Authorization header. Send one of them.",
    );
  }
  if (!isSessionId(session))
    throw new AirlockError("unauthenticated", "The cookie is no session of Airlock. Log in (POST /session).");
  const authenticated = await credentials.whose(session, tenantOf(request));
  refuseForeignChange(request);
  return { ...authenticated, shown: { session } };
}

function tenantOf({ headers }: IncomingMessage): string | undefined {
  const tenant = headers["airlock-tenant"];
  return tenant === undefined ? undefined : String(tenant);
}

/** All Authorization headers. Node itself keeps only the first, and would not tell that there was another. */
function sentCredentials({ rawHeaders }: IncomingMessage): string[] {
  return rawHeaders.filter((_, n) => n % 2 === 1 && rawHeaders[n - 1]?.toLowerCase() === "authorization");
}

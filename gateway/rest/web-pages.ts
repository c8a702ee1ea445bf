import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import { isIP } from "node:net";
import type { FastifyInstance } from "fastify";
import { AirlockError } from "#common/errors.ts";
import type { EnvironmentReader } from "#common/service/environment.ts";
import { PLAIN_HOST } from "./request/base-url.ts";

const HOST_NAME = /^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$/;

/**
 * Reads AIRLOCK_HOST_NAMES (`name,name`): host names that clients may use for this instance besides localhost
 * and its IP addresses.
 */
export function readHostNames(read: EnvironmentReader): readonly string[] {
  const names = (read.optionalText("AIRLOCK_HOST_NAMES") ?? "")
    .toLowerCase()
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
  const wrong = names.filter((name) => !HOST_NAME.test(name));
  if (wrong.length > 0) {
    read.refuse(
      `AIRLOCK_HOST_NAMES must be host names without ports, separated by commas, not "${wrong[0]}"`,
    );
  }
  return names;
}

/**
 * Security headers of every answer. Browsers must not guess another content type, must not show an answer in
 * a frame of another page, where clicks could be stolen, and must not load it from another site.
 */
export const PAGE_HEADERS = {
  "x-content-type-options": "nosniff",
  "content-security-policy": "frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
} as const;

/** Headers of the answer to a browser's preflight request (CORS), for pages of the hosts in `hostNames`. */
const PREFLIGHT_HEADERS = {
  "access-control-allow-methods": "GET, POST, PATCH, DELETE",
  "access-control-allow-headers": "authorization, content-type, idempotency-key",
  "access-control-max-age": "600",
} as const;
/** Headers of an answer that a page of these hosts may read. */
const SHOWN_HEADERS =
  "idempotent-replayed, location, ratelimit, ratelimit-policy, retry-after, www-authenticate";

/**
 * Refuses calls by web pages of other sites. Where clients need no credential, a hostile page in a person's
 * browser could otherwise do all that the person can. A page can look like our own when its owner points its host
 * name to this gateway (DNS rebinding). Therefore the gateway answers only to names that no stranger can own.
 * This holds for every listen address, because a port of 127.0.0.1 may lead to a container, and a browser
 * reaches any machine of its network. Pages of the hosts in `hostNames` may call with any scheme and port.
 * Names without a dot may not, because the operator of the browser's network decides where they lead.
 */
export function refuseForeignPages(
  app: FastifyInstance,
  { host: listensOn, hostNames }: { readonly host: string; readonly hostNames: readonly string[] },
): void {
  const own = new Set(["localhost", listensOn, ...hostNames]);
  const isOwn = (name: string) => own.has(name) || isIP(name) !== 0;
  app.server.prependListener("request", (_request, response: ServerResponse) => {
    for (const [name, value] of Object.entries(PAGE_HEADERS)) response.setHeader(name, value);
  });
  app.addHook("onRequest", async ({ method, headers }, reply) => {
    const { host, origin } = headers;
    if (host !== undefined && !isOwn(nameIn(host))) throw hostNotAllowed(hostNames);
    if (isFromBrowser(headers) && host !== undefined && isOfNetwork(nameIn(host))) throw nameOfNetwork();
    if (hostNames.length > 0) reply.raw.setHeader("vary", "origin");
    if (origin === undefined) {
      if (isLoadedByAnotherSite(method, headers)) throw pageNotAllowed("Sec-Fetch-Site");
      return;
    }
    const page = URL.parse(origin);
    if (!page || !/^https?:$/.test(page.protocol)) throw pageNotAllowed("Origin");
    if (page.host === URL.parse(`${page.protocol}//${host}`)?.host) return;
    if (!hostNames.includes(page.hostname) || isOfNetwork(page.hostname)) throw pageNotAllowed("Origin");
    reply.raw.setHeader("access-control-allow-origin", page.origin);
    reply.raw.setHeader("access-control-expose-headers", SHOWN_HEADERS);
    if (method !== "OPTIONS" || headers["access-control-request-method"] === undefined) return;
    return reply.code(204).headers(PREFLIGHT_HEADERS).send();
  });
}

function isFromBrowser(headers: IncomingHttpHeaders): boolean {
  return headers.origin !== undefined || headers["sec-fetch-site"] !== undefined;
}

/**
 * Whether the name has no dot, such as `gateway`. A browser completes such a name with its network's own
 * domain, so the network decides where it leads.
 */
function isOfNetwork(name: string): boolean {
  return name !== "localhost" && name !== "" && !name.includes(".") && isIP(name) === 0;
}

/**
 * Whether a page of another site loads this URL, for example as an image or in a frame, or sends a form to it.
 * A person who follows a link does not count.
 */
function isLoadedByAnotherSite(method: string, headers: IncomingHttpHeaders): boolean {
  const site = headers["sec-fetch-site"];
  if (site !== "cross-site" && site !== "same-site") return false;
  const isLink = headers["sec-fetch-mode"] === "navigate" && headers["sec-fetch-dest"] === "document";
  return !isLink || (method !== "GET" && method !== "HEAD");
}

/** The host name or address in a Host header, without the port; empty when the header holds none. */
function nameIn(header: string): string {
  const hostname = (PLAIN_HOST.test(header) && URL.parse(`http://${header}`)?.hostname) || "";
  return hostname.replace(/^\[(.*)\]$/, "$1");
}

function hostNotAllowed(hostNames: readonly string[]): AirlockError {
  const names = ["localhost", "127.0.0.1", "[::1]", ...hostNames].join(", ");
  return new AirlockError(
    "host_not_allowed",
    `The Host header names none of ${names}. Use one of these in the URL; the operator adds a name with AIRLOCK_HOST_NAMES.`,
  );
}

function nameOfNetwork(): AirlockError {
  return new AirlockError(
    "host_not_allowed",
    "A browser may not use a name without a dot, because any machine of a network may be given such a name. Use localhost, an address, or a name with a domain that the operator adds to AIRLOCK_HOST_NAMES.",
  );
}

function pageNotAllowed(header: "Origin" | "Sec-Fetch-Site"): AirlockError {
  return new AirlockError(
    "origin_not_allowed",
    `The ${header} header says that a web page of another site sent this. Call from a program instead; the operator lets the pages of a host call by adding its name to AIRLOCK_HOST_NAMES.`,
  );
}

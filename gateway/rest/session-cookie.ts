import type { IncomingMessage } from "node:http";
import type { TLSSocket } from "node:tls";
import { AirlockError } from "#common/errors.ts";
import { PLAIN_HOST } from "./request/base-url.ts";

/** How the browser reached the gateway, which decides how its cookie is named and what may change with it. */
type Site = {
  readonly cookie: "__Host-airlock" | "airlock-session";
  /** The origin of the gateway's own pages. */
  readonly origin: string;
};

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$/i;
const SAFE_METHODS: readonly string[] = ["GET", "HEAD"];
/** Seconds that a person has for a login at the provider. */
const LOGIN_S = 600;
const COMMON = "Path=/; HttpOnly; SameSite=Strict";

/** The site that a request was sent to; undefined over plain HTTP anywhere but on this machine. */
function siteOf({ headers, socket }: IncomingMessage): Site | undefined {
  const { host = "", "x-forwarded-proto": forwarded } = headers;
  if (!PLAIN_HOST.test(host)) return undefined;
  // A client that claims a proxy with TLS gets only a cookie that no browser sends over plain HTTP.
  if ((socket as Partial<TLSSocket>).encrypted === true || forwarded === "https")
    return { cookie: "__Host-airlock", origin: URL.parse(`https://${host}`)?.origin ?? "" };
  return LOOPBACK.test(host)
    ? { cookie: "airlock-session", origin: URL.parse(`http://${host}`)?.origin ?? "" }
    : undefined;
}

/**
 * The id of the session that a browser shows; undefined without one. Throws `unauthenticated` when it shows two,
 * because one of them may have been put there by another site.
 */
export function shownSession(request: IncomingMessage): string | undefined {
  const site = siteOf(request);
  if (!site || request.headers.cookie === undefined) return undefined;
  const shown = shownAs(site.cookie, request);
  if (shown.length > 1)
    throw new AirlockError(
      "unauthenticated",
      "The browser shows two sessions. Delete its cookies and log in.",
    );
  return shown[0];
}

/** Throws `origin_not_allowed` for a change that no page of the gateway itself sent. */
export function refuseForeignChange(request: IncomingMessage): void {
  if (SAFE_METHODS.includes(request.method ?? "")) return;
  if (request.headers.origin !== undefined && request.headers.origin === siteOf(request)?.origin) return;
  throw new AirlockError(
    "origin_not_allowed",
    "With a session only pages of this Airlock itself may change something: the Origin header must name its own scheme, host and port. Programs send an API key in the Authorization header instead.",
  );
}

/**
 * The Set-Cookie header that gives the browser a session. Throws `https_required` over plain HTTP, except on this
 * machine.
 */
export function cookieFor(request: IncomingMessage, id: string): string {
  const site = siteOf(request);
  if (site) return cookie(site, id);
  throw httpsRequired();
}

/**
 * The URL to which an OpenID provider sends the browser back. Throws `https_required` where the browser could get
 * no session.
 */
export function callbackUrl(request: IncomingMessage): string {
  const site = siteOf(request);
  if (site) return `${site.origin}/session/callback`;
  throw httpsRequired();
}

/**
 * The Set-Cookie header that keeps the secrets of a login in the browser, until it comes back from the provider.
 * The cookie is Lax, because another site sends the browser back.
 */
export function loginCookie(request: IncomingMessage, secrets: string): string {
  const site = siteOf(request);
  if (!site) throw httpsRequired();
  const seconds = secrets === "" ? 0 : LOGIN_S;
  return `${loginName(site)}=${secrets}; ${secure(site)}Path=/; HttpOnly; SameSite=Lax; Max-Age=${seconds}`;
}

/** The secrets of the login that the browser has begun; undefined without one. */
export function shownLogin(request: IncomingMessage): string | undefined {
  const site = siteOf(request);
  const shown = site ? shownAs(loginName(site), request) : [];
  return shown.length === 1 && shown[0] !== "" ? shown[0] : undefined;
}

/** The Set-Cookie header that takes the session from the browser; undefined where it can have none. */
export function cookieRemoval(request: IncomingMessage): string | undefined {
  const site = siteOf(request);
  return site && `${cookie(site, "")}; Max-Age=0`;
}

/** The values of all cookies with this name. */
function shownAs(name: string, { headers }: IncomingMessage): string[] {
  return (headers.cookie ?? "")
    .split(";")
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`))
    .map((pair) => pair.slice(name.length + 1));
}

function cookie(site: Site, value: string): string {
  return `${site.cookie}=${value}; ${secure(site)}${COMMON}`;
}

function loginName(site: Site): string {
  return site.cookie === "__Host-airlock" ? "__Host-airlock-login" : "airlock-login";
}

function secure(site: Site): string {
  return site.cookie === "__Host-airlock" ? "Secure; " : "";
}

function httpsRequired(): AirlockError {
  return new AirlockError(
    "https_required",
    "A session needs HTTPS, because everybody on the way could take its cookie. Call an https:// URL, or localhost on Airlock's own machine.",
  );
}

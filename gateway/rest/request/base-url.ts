import type { TLSSocket } from "node:tls";
import type { FastifyRequest } from "fastify";

/** Matches a host name or an address with an optional port, and nothing else. */
export const PLAIN_HOST = /^([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:\d{1,5})?$/;

/**
 * The URL at which the client reached this gateway. A Host header that is not a plain host and port is not
 * repeated, because it may be hostile.
 */
export function baseUrl(request: FastifyRequest): string {
  const { host = "", "x-forwarded-proto": forwarded } = request.headers;
  const isSecure = forwarded === "https" || (request.socket as Partial<TLSSocket>).encrypted === true;
  const scheme = isSecure ? "https" : "http";
  return `${scheme}://${PLAIN_HOST.test(host) ? host : `127.0.0.1:${request.socket.localPort}`}`;
}

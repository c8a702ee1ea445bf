import type { FastifyRequest } from "fastify";

/** A host name or address, perhaps with a port, and nothing else. */
export const PLAIN_HOST = /^([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:\d{1,5})?$/;

/** Where the client reached this gateway; a Host header that is no plain host and port is not repeated. */
export function baseUrl(request: FastifyRequest): string {
  const { host = "", "x-forwarded-proto": forwarded } = request.headers;
  const scheme = forwarded === "https" ? "https" : "http";
  return `${scheme}://${PLAIN_HOST.test(host) ? host : `127.0.0.1:${request.socket.localPort}`}`;
}

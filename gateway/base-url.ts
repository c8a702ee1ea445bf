import type { FastifyRequest } from "fastify";

/** Where the client reached this gateway; a Host header that is no plain host and port is not repeated. */
export function baseUrl(request: FastifyRequest): string {
  const { host = "", "x-forwarded-proto": forwarded } = request.headers;
  const scheme = forwarded === "https" ? "https" : "http";
  const plain = host.length <= 260 && /^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?$/.test(host);
  return `${scheme}://${plain ? host : `127.0.0.1:${request.socket.localPort}`}`;
}

import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from "node:http";
import { type Duplex, finished } from "node:stream";
import { malformed, Refusal } from "../policy/refusal.ts";

// Strict: what could be understood in two ways is refused by the parser.
const OPTIONS: ServerOptions = {
  insecureHTTPParser: false,
  // The proxy itself says so, as it does for CONNECT, which Node leaves out.
  requireHostHeader: false,
  joinDuplicateHeaders: false,
  maxHeaderSize: 64 * 1024,
  headersTimeout: 30_000,
  // A run ends long before; an upload may take as long as the run.
  requestTimeout: 0,
  keepAliveTimeout: 60_000,
};

/** Far more than clients send or take; each costs microseconds at several places, and 64 KiB hold thousands. */
export const MAX_HEADER_LINES = 256;

const DRAIN_TIMEOUT_MS = 30_000;

/** A server that listens nowhere: `emit("connection", stream)` gives it its connections. */
export function createHttpEdge(): Server {
  const server = createServer(OPTIONS);
  // All headers are seen, so that a request with too many hears why. Their bytes are limited.
  server.maxHeadersCount = 0;
  // Node looks after the time limits and the connections of a server from this event on.
  server.emit("listening");
  return server;
}

/**
 * Throws a Refusal for a request that two readers could understand differently, though the parser takes it: one of another
 * version, one that does not name its host exactly once (RFC 9112, sections 2.3 and 3.2), or one of more lines than may be.
 */
export function refuseAmbiguous({ httpVersion, rawHeaders }: IncomingMessage): void {
  if (httpVersion !== "1.1" && httpVersion !== "1.0") throw malformed("it is not HTTP/1.1");
  if (hasTooManyLines(rawHeaders)) {
    const most = `more than ${MAX_HEADER_LINES} header lines`;
    throw new Refusal(431, "over_limit", `Airlock refused the request: it has ${most}`);
  }
  const hosts = rawHeaders.filter((name, at) => at % 2 === 0 && name.toLowerCase() === "host").length;
  if (hosts > 1) throw malformed("it has more than one Host header");
  if (hosts === 0 && httpVersion === "1.1") throw malformed("it has no Host header, which HTTP/1.1 demands");
}

/** Whether a head has more lines than may be. `rawHeaders` has names and values in turns. */
export function hasTooManyLines(rawHeaders: readonly string[]): boolean {
  return rawHeaders.length > 2 * MAX_HEADER_LINES;
}

/** Aborts when a connection or a response is closed: then the script has gone, or has all that it asked for. */
export function closeSignal(closes: Duplex | ServerResponse): AbortSignal {
  const closed = new AbortController();
  const abort = () => closed.abort(Object.assign(new Error("the script has gone"), { code: "ECANCELED" }));
  if (closes.destroyed) abort();
  else closes.once("close", abort);
  return closed.signal;
}

/** Answers with the refusal; the reason is in the status line too, because clients show no body when CONNECT fails. */
export function refuseRequest(request: IncomingMessage, response: ServerResponse, refusal: Refusal): void {
  if (response.headersSent || response.destroyed) return void response.destroy();
  const body = `${refusal.message}\n`;
  response.writeHead(refusal.status, refusal.message, {
    "content-type": "text/plain; charset=utf-8",
    "content-length": Buffer.byteLength(body),
    ...(refusal.status === 407 && { "proxy-authenticate": 'Basic realm="airlock"' }),
  });
  response.write(body);
  // Most clients send the whole body before they read; a connection that is closed then takes the answer with it.
  const giveUp = setTimeout(() => response.end(), DRAIN_TIMEOUT_MS);
  finished(request.resume(), () => {
    clearTimeout(giveUp);
    response.end();
  });
}

/** The same on a bare connection, which ends with it. */
export function refuseConnection(socket: Duplex, refusal: Refusal): void {
  if (socket.destroyed || socket.writableEnded) return;
  const body = `${refusal.message}\n`;
  const challenge = refusal.status === 407 ? 'Proxy-Authenticate: Basic realm="airlock"\r\n' : "";
  socket.end(
    `HTTP/1.1 ${refusal.status} ${refusal.message}\r\n${challenge}Content-Type: text/plain; charset=utf-8\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
  const giveUp = setTimeout(() => socket.destroy(), DRAIN_TIMEOUT_MS);
  socket.resume().once("close", () => clearTimeout(giveUp));
}

import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from "node:http";
import { type Duplex, finished } from "node:stream";
import type { Refusal } from "./refusal.ts";

// Strict: what could be understood in two ways is refused by the parser.
const OPTIONS: ServerOptions = {
  insecureHTTPParser: false,
  requireHostHeader: true,
  joinDuplicateHeaders: false,
  maxHeaderSize: 64 * 1024,
  headersTimeout: 30_000,
  // A run ends long before; an upload may take as long as the run.
  requestTimeout: 0,
  keepAliveTimeout: 60_000,
};

const DRAIN_TIMEOUT_MS = 30_000;

/** A server that listens nowhere: `emit("connection", stream)` gives it its connections. */
export function createHttpEdge(): Server {
  const server = createServer(OPTIONS);
  // Node looks after the time limits and the connections of a server from this event on.
  server.emit("listening");
  return server;
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

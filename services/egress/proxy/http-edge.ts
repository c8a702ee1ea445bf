import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from "node:http";
import { type Duplex, finished } from "node:stream";
import { trackOwedAnswers } from "#common/http/owed-answers.ts";
import { endAtUpgrades } from "#common/http/pipelined-requests.ts";
import { malformed, Refusal } from "../policy/refusal.ts";

// Node's HTTP parser is set to be strict: it refuses messages that two readers could understand differently.
const OPTIONS: ServerOptions = {
  insecureHTTPParser: false,
  // The proxy checks the Host header itself, also for CONNECT, where Node does not.
  requireHostHeader: false,
  joinDuplicateHeaders: false,
  maxHeaderSize: 64 * 1024,
  headersTimeout: 30_000,
  // 0: no limit, because an upload may take as long as its run, and the end of the run closes the connection.
  requestTimeout: 0,
  keepAliveTimeout: 60_000,
};

/**
 * The most header lines in a message, far more than clients and servers use. A message with more is refused,
 * because each line costs microseconds in several places, and 64 KiB can hold thousands of lines.
 */
export const MAX_HEADER_LINES = 256;

/** Milliseconds for which the rest of a refused request is read before its connection is closed. */
const DRAIN_TIMEOUT_MS = 30_000;

/**
 * Makes an HTTP server that does not listen. Connections are given to it with `emit("connection", stream)`.
 */
export function createHttpEdge(): Server {
  const server = createServer(OPTIONS);
  // 0 turns off Node's limit of header lines, so that `refuseAmbiguous` can refuse a request with too many
  // lines and say why. The bytes of the lines are limited by maxHeaderSize.
  server.maxHeadersCount = 0;
  trackOwedAnswers(server);
  endAtUpgrades(server);
  // A request with an unknown `Expect` header is served like any other, because Node would refuse it without
  // counting the attempt.
  server.on("checkExpectation", (request, response) => server.emit("request", request, response));
  // From this event on Node enforces the time limits of the server's connections.
  server.emit("listening");
  return server;
}

/**
 * Throws a Refusal for requests that two readers could understand differently, although Node's parser accepts
 * them: other HTTP versions, and requests without exactly one host name (RFC 9112, sections 2.3 and 3.2).
 * Also refuses requests with more than MAX_HEADER_LINES header lines, and with other transfer codings than
 * `chunked`.
 */
export function refuseAmbiguous({ httpVersion, rawHeaders, headers }: IncomingMessage): void {
  if (httpVersion !== "1.1" && httpVersion !== "1.0") throw malformed("it is not HTTP/1.1");
  if (hasTooManyLines(rawHeaders)) {
    const most = `more than ${MAX_HEADER_LINES} header lines`;
    throw new Refusal(431, "over_limit", `Airlock refused the request: it has ${most}`);
  }
  if (hasOtherCoding(headers)) {
    const what = "its Transfer-Encoding is another than chunked";
    throw new Refusal(501, "malformed", `Airlock refused the request: ${what}`);
  }
  const hosts = rawHeaders.filter((name, at) => at % 2 === 0 && name.toLowerCase() === "host").length;
  if (hosts > 1) throw malformed("it has more than one Host header");
  if (hosts === 0 && httpVersion === "1.1") throw malformed("it has no Host header, which HTTP/1.1 demands");
}

/**
 * Whether the body has a transfer coding besides `chunked`. Such a message is refused, because the proxy
 * frames bodies anew, and the receiver would take the coded bytes for the body.
 */
export function hasOtherCoding(headers: IncomingHttpHeaders): boolean {
  return (headers["transfer-encoding"] ?? "chunked").trim().toLowerCase() !== "chunked";
}

/**
 * Whether a message has more than MAX_HEADER_LINES header lines. `rawHeaders` holds the name and the value of
 * one line after the other.
 */
export function hasTooManyLines(rawHeaders: readonly string[]): boolean {
  return rawHeaders.length > 2 * MAX_HEADER_LINES;
}

/**
 * A signal that aborts when `closes`, a script's connection or the response to it, is closed: the script has
 * disconnected, or has the whole response.
 */
export function closeSignal(closes: Duplex | ServerResponse): AbortSignal {
  const closed = new AbortController();
  const abort = () => closed.abort(Object.assign(new Error("the script has gone"), { code: "ECANCELED" }));
  if (closes.destroyed) abort();
  else closes.once("close", abort);
  return closed.signal;
}

/**
 * Sends a refusal as the response to the script. The refusal's message is in the status line as well as in
 * the body, because clients show no body when CONNECT fails.
 */
export function refuseRequest(request: IncomingMessage, response: ServerResponse, refusal: Refusal): void {
  if (response.headersSent || response.destroyed) return void response.destroy();
  const body = `${refusal.message}\n`;
  response.writeHead(refusal.status, refusal.message, {
    "content-type": "text/plain; charset=utf-8",
    "content-length": Buffer.byteLength(body),
    ...(refusal.status === 407 && { "proxy-authenticate": 'Basic realm="airlock"' }),
  });
  response.write(body);
  // The rest of the request is read before the response ends, because most clients send the whole body before
  // they read, and would lose the response when the connection is closed.
  const giveUp = setTimeout(() => response.end(), DRAIN_TIMEOUT_MS);
  finished(request.resume(), () => {
    clearTimeout(giveUp);
    response.end();
  });
}

/** Sends a refusal on a connection without a parsed request, and closes the connection. */
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

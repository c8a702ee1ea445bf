import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { isClosed, onceClosed } from "./response-closed.ts";

/**
 * The most requests of one connection that may wait for earlier answers; more than any client sends before it
 * reads an answer. A connection with one more is closed.
 */
const MAX_WAITING = 16;

type Line = { tail: Promise<void>; waiting: number };

const lines = new WeakMap<object, Line>();
/** Connections on which a request with an `Upgrade` header has arrived. */
const ending = new WeakSet<object>();
/** The requests that arrived after it. */
const unserved = new WeakSet<IncomingMessage>();

/**
 * Serves nothing on a connection after a request with an `Upgrade` header, which is answered like any other.
 * Clients send that header when they would rather speak HTTP/2. Node's parser then drops the bytes that arrived
 * together with the end of the request, and takes later bytes for a new request: the body of the next request
 * would be served as a request that a proxy in front has never seen. Works only for requests that wait for their
 * turn (`awaitTurn`).
 */
export function endAtUpgrades(server: Server): void {
  server.prependListener("request", (request: IncomingMessage, response: ServerResponse) => {
    if (ending.has(request.socket)) return void unserved.add(request);
    if (request.headers.upgrade === undefined) return;
    ending.add(request.socket);
    // Node closes the connection after this answer.
    response.shouldKeepAlive = false;
  });
}

/**
 * Resolves to true when all earlier answers on the request's connection have been sent. Node's server starts
 * every pipelined request (RFC 9112, section 9.3.2) at once, so without this wait one connection could have
 * thousands of requests under way. Resolves to false when the request is not to be served: its connection is
 * closed, too many requests wait, for which this function closes it itself, or it follows a request with an
 * `Upgrade` header.
 */
export async function awaitTurn(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
  if (unserved.has(request)) return false;
  const line = lines.get(request.socket) ?? { tail: Promise.resolve(), waiting: 0 };
  lines.set(request.socket, line);
  if (line.waiting >= MAX_WAITING) {
    request.socket.destroy();
    return false;
  }
  const before = line.tail;
  const sent = Promise.withResolvers<void>();
  onceClosed(response, sent.resolve);
  line.tail = before.then(() => sent.promise);
  line.waiting++;
  await before;
  line.waiting--;
  return !isClosed(response);
}

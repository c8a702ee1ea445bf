import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { onceClosed } from "./response-closed.ts";

type Exchange = { readonly request: IncomingMessage; readonly response: ServerResponse };

/**
 * For each HTTP connection, the requests whose answers have not been sent completely, in the order of the
 * requests.
 */
const exchanges = new WeakMap<object, Set<Exchange>>();
/** Connections that will be closed after the last answer that the server owes on them. */
const closing = new WeakSet<object>();

/**
 * Records the unanswered requests of each connection of `server`; the functions below work only for such
 * connections.
 */
export function trackOwedAnswers(server: Server): void {
  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    const open = exchanges.get(request.socket) ?? new Set();
    exchanges.set(request.socket, open);
    const exchange = { request, response };
    open.add(exchange);
    onceClosed(response, () => open.delete(exchange));
  });
}

/**
 * Lets the server answer the requests that arrived completely on this connection, and then closes the
 * connection. Called when nothing further can be read from the connection, for example after invalid HTTP.
 * Returns false and does nothing when no such answer is owed.
 *
 * The caller must not write an error to the connection when this returns true, because the client would take
 * the error for the answer to a request that the server carries out.
 */
export function closeAfterOwedAnswers(socket: Duplex): boolean {
  if (closing.has(socket)) return true;
  const last = [...openOn(socket)].filter(({ request }) => request.complete).at(-1)?.response;
  if (!last) return false;
  closing.add(socket);
  // Node then sends `Connection: close` with this answer, unless its headers have been sent.
  last.shouldKeepAlive = false;
  onceClosed(last, () => socket.end());
  return true;
}

/** Whether the answer to any request of this connection has not been sent completely. */
export function owesAnswers(socket: Duplex): boolean {
  return openOn(socket).size > 0;
}

/**
 * Whether an answer on this connection has begun and not ended, so that the client would take further bytes
 * for a part of that answer.
 */
export function hasBegunAnswer(socket: Duplex): boolean {
  return [...openOn(socket)].some(({ response }) => response.headersSent);
}

function openOn(socket: object): ReadonlySet<Exchange> {
  return exchanges.get(socket) ?? new Set();
}

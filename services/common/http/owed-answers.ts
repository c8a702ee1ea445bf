import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { onceClosed } from "./response-closed.ts";

type Exchange = { readonly request: IncomingMessage; readonly response: ServerResponse };

/** The requests of each connection whose answers have not been sent completely, in their order. */
const exchanges = new WeakMap<object, Set<Exchange>>();
const closing = new WeakSet<object>();

/** Makes the functions below work for the connections of `server`. */
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
 * connection. To be called when nothing further can be read from the connection. Returns false and does nothing
 * when no such answer is owed.
 *
 * An error must not be written to the connection in that case, because the client would take it for the
 * answer to a request that the server carries out.
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

/** Whether any request of this connection waits for its answer or for the rest of it. */
export function owesAnswers(socket: Duplex): boolean {
  return openOn(socket).size > 0;
}

/** Whether an answer on this connection has begun and not ended, so that more bytes could be taken for a part of it. */
export function hasBegunAnswer(socket: Duplex): boolean {
  return [...openOn(socket)].some(({ response }) => response.headersSent);
}

function openOn(socket: object): ReadonlySet<Exchange> {
  return exchanges.get(socket) ?? new Set();
}

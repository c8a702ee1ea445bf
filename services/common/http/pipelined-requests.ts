import type { IncomingMessage, ServerResponse } from "node:http";
import { onceClosed } from "./response-closed.ts";

/**
 * The most requests of one connection that may wait for earlier answers; more than any client sends before it
 * reads an answer. A connection with one more is closed.
 */
const MAX_WAITING = 16;

type Line = { tail: Promise<void>; waiting: number };

const lines = new WeakMap<object, Line>();

/**
 * Resolves to true when all earlier answers on the request's connection have been sent. Node's server starts
 * every pipelined request (RFC 9112, section 9.3.2) at once, so without this wait one connection could have
 * thousands of requests under way. Resolves to false when the connection is closed, which this function does
 * itself when too many requests wait.
 */
export async function awaitTurn(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
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
  return !response.destroyed;
}

import type { IncomingMessage, ServerResponse } from "node:http";
import { onceClosed } from "./response-closed.ts";

/** More than any client sends before it has read an answer. */
const MAX_WAITING = 16;

type Line = { tail: Promise<void>; waiting: number };

const lines = new WeakMap<object, Line>();

/**
 * Resolves to true when all answers before this one have been sent on its connection. Node's server begins every request
 * that a client sends without waiting (RFC 9112, section 9.3.2) at once, so that one connection could have thousands
 * under way. False: the connection has been closed, because too many waited.
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

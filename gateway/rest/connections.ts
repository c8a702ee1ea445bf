import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { onceClosed } from "#common/http/response-closed.ts";
import { maxOpenFiles } from "#common/service/open-files.ts";
import { hasBody } from "./body/discard-rest.ts";

const MAX_CONNECTIONS = 10_000;
/** The part of the limit from which a new connection ends an idle one. */
const CROWDED = 3 / 4;
/** So many idle ones stay in any case: a client needs a moment between its connection and its request. */
const KEPT_IDLE = 1 / 8;

/** Half of the files that this process may open: the services that share it need some, too. */
export function connectionLimit(): number {
  return Math.min(MAX_CONNECTIONS, Math.floor(maxOpenFiles() / 2));
}

/**
 * Bounds the connections of `server`: those beyond `limit` are closed at once. Before it comes to that, each new connection ends
 * the one that has been idle for longest, so that clients that open connections and leave them lock nobody out. A connection is
 * idle unless the gateway owes it an answer, which it does from the last byte of a request on.
 */
export function boundConnections(server: Server, limit: number): void {
  server.maxConnections = limit;
  let open = 0;
  /** First the one that has been idle for longest. */
  const idle = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    open += 1;
    idle.add(socket);
    socket.once("close", () => {
      open -= 1;
      idle.delete(socket);
    });
    if (open <= limit * CROWDED || idle.size <= limit * KEPT_IDLE) return;
    const [longest] = idle;
    if (!longest) return;
    idle.delete(longest);
    longest.destroy();
  });
  const owed = new WeakMap<Socket, number>();
  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request;
    const owe = (answers: 1 | -1) => {
      const count = (owed.get(socket) ?? 0) + answers;
      owed.set(socket, count);
      idle.delete(socket);
      if (count === 0 && !socket.destroyed) idle.add(socket);
    };
    const begin = () => {
      if (response.closed) return;
      owe(1);
      onceClosed(response, () => owe(-1));
    };
    if (hasBody(request)) request.once("end", begin);
    else begin();
  });
}

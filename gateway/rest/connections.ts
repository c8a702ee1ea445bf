import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { isClosed, onceClosed } from "#common/http/response-closed.ts";
import { maxOpenFiles } from "#common/service/open-files.ts";
import { hasBody } from "./body/discard-rest.ts";
import { streamOf } from "./https/http2.ts";

const MAX_CONNECTIONS = 10_000;
/**
 * Share of the connection limit above which each new connection closes the one that has been idle for
 * longest.
 */
const CROWDED = 3 / 4;
/**
 * Share of the connection limit up to which no idle connection is closed, because a client needs a moment
 * between its connection and its first request.
 */
const KEPT_IDLE = 1 / 8;

/**
 * The number of connections to accept: half of the files that this process may open, because other services
 * in the process need files too.
 */
export function connectionLimit(): number {
  return Math.min(MAX_CONNECTIONS, Math.floor(maxOpenFiles() / 2));
}

/**
 * Limits the connections of `server`. Connections beyond `limit` are closed at once. Well below the limit,
 * each new connection already closes the one that has been idle for longest, so that idle clients lock out no
 * others. A connection is busy from the last byte of a request until its answer was sent, otherwise idle; so is
 * one of which the TLS handshake is not complete.
 */
export function boundConnections(server: Server, limit: number): void {
  server.maxConnections = limit;
  const connectionOf = trackTlsConnections(server);
  let open = 0;
  /** Idle connections, ordered by how long they have been idle, longest first. */
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
  /** By connection: the number of requests that were received and whose answers were not sent yet. */
  const owed = new WeakMap<Socket, number>();
  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    const socket = connectionOf(request);
    const owe = (answers: 1 | -1) => {
      const count = (owed.get(socket) ?? 0) + answers;
      owed.set(socket, count);
      idle.delete(socket);
      if (count === 0 && !socket.destroyed) idle.add(socket);
    };
    const begin = () => {
      if (isClosed(response)) return;
      owe(1);
      onceClosed(response, () => owe(-1));
    };
    if (hasBody(request)) request.once("end", begin);
    else begin();
  });
}

/**
 * Returns a function that finds the TCP connection of a request. With TLS a request knows only the socket, or the
 * HTTP/2 session, that was laid over it.
 */
function trackTlsConnections(server: Server): (request: IncomingMessage) => Socket {
  /** By the addresses of both ends, which the layers of a connection have in common. */
  const byEnds = new Map<string, Socket>();
  const below = new WeakMap<object, Socket>();
  server.on("connection", (socket: Socket) => {
    const ends = endsOf(socket);
    byEnds.set(ends, socket);
    socket.once("close", () => {
      if (byEnds.get(ends) === socket) byEnds.delete(ends);
    });
  });
  return (request) => {
    const layer = streamOf(request)?.session ?? request.socket;
    const known = below.get(layer) ?? byEnds.get(endsOf(request.socket)) ?? request.socket;
    below.set(layer, known);
    return known;
  };
}

function endsOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}

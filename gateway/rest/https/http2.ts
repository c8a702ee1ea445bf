import { type IncomingMessage, METHODS, type Server, type ServerResponse } from "node:http";
import { constants, type Http2Session, type ServerHttp2Stream } from "node:http2";

/** The most requests of one HTTP/2 connection that are under way at once. */
export const MAX_STREAMS = 100;
/** The largest number of a stream: a notice of the end that names it refuses no request yet. */
const NOTICE_STREAM = 2 ** 31 - 1;
/** A method that HTTP/1.1 has and no route serves; the log and the metrics show it for each unknown one. */
const UNSERVED_METHOD = "TRACE";

/** The HTTP/2 stream of a request or a response; undefined with HTTP/1.1. */
export function streamOf(message: IncomingMessage | ServerResponse): ServerHttp2Stream | undefined {
  return (message as { stream?: ServerHttp2Stream }).stream;
}

/**
 * Makes requests over HTTP/2 look as those over HTTP/1.1 to everything that reads their headers: the host is in
 * `host`, and a body without a length is marked by `transfer-encoding`, a header that HTTP/2 itself forbids. A method
 * that Node's parser of HTTP/1.1 would refuse is shown as one that no route serves, because fastify runs none of its
 * hooks for a method that it does not know. A request whose body has not arrived within `bodyTimeoutMs` is given up.
 * With more than `maxRequests` requests under way, further ones are refused with a code after which the client may send
 * them again.
 */
export function adaptHttp2(
  server: Server,
  { maxRequests, bodyTimeoutMs }: { readonly maxRequests: number; readonly bodyTimeoutMs: number },
): void {
  let open = 0;
  server.prependListener("request", (request: IncomingMessage, response: ServerResponse) => {
    const stream = streamOf(request);
    if (!stream) return;
    const { headers } = request;
    const authority = headers[":authority"];
    if (typeof authority === "string") headers.host ??= authority;
    if (!stream.endAfterHeaders && headers["content-length"] === undefined)
      headers["transfer-encoding"] = "chunked";
    if (!METHODS.includes(request.method ?? "")) request.method = UNSERVED_METHOD;
    if (open >= maxRequests) return void stream.close(constants.NGHTTP2_REFUSED_STREAM);
    open += 1;
    countWrites(response, stream);
    const late = stream.endAfterHeaders
      ? undefined
      : setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), bodyTimeoutMs).unref();
    request.once("end", () => clearTimeout(late));
    stream.once("close", () => {
      open -= 1;
      clearTimeout(late);
    });
  });
}

const written = new WeakMap<ServerHttp2Stream, number>();

/** Bytes of the answer that have left this process, as far as the client's flow control let them. */
export function sentOver(stream: ServerHttp2Stream): number {
  return (written.get(stream) ?? 0) - stream.bufferSize;
}

/** Counts the bytes of each answer, because Node says only how many of them have not been sent. */
function countWrites(response: ServerResponse, stream: ServerHttp2Stream): void {
  const write = response.write.bind(response) as (...all: unknown[]) => boolean;
  response.write = (chunk: string | Uint8Array, ...more: unknown[]) => {
    const bytes = typeof chunk === "string" ? Buffer.byteLength(chunk) : chunk.length;
    written.set(stream, (written.get(stream) ?? 0) + bytes);
    return write(chunk, ...more);
  };
}

/**
 * Ends an answer before it is complete. The whole connection is closed when it takes no more bytes, because the
 * client would never be told.
 */
export function breakOff(stream: ServerHttp2Stream): void {
  const { session } = stream;
  stream.close(constants.NGHTTP2_CANCEL);
  setImmediate(() => {
    stream.destroy();
    if (session && !session.destroyed && (session.state.outboundQueueSize ?? 0) > 0) session.destroy();
  });
}

/** The HTTP/2 connections of a server. */
export type Sessions = {
  /** Tells all clients that the gateway is about to stop, so that they send no further requests here. */
  announceStop(): void;
};

export function trackSessions(server: Server): Sessions {
  const sessions = new Set<Http2Session>();
  let isStopping = false;
  server.on("session", (session: Http2Session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
    if (isStopping) session.goaway(constants.NGHTTP2_NO_ERROR, NOTICE_STREAM);
  });
  return {
    announceStop() {
      isStopping = true;
      for (const session of sessions)
        if (!session.destroyed) session.goaway(constants.NGHTTP2_NO_ERROR, NOTICE_STREAM);
    },
  };
}

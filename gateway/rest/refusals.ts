import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { constants } from "node:http2";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { AirlockError, asAirlockError, type ErrorCode } from "#common/errors.ts";
import { closeAfterOwedAnswers, hasBegunAnswer, owesAnswers } from "#common/http/owed-answers.ts";
import type { Log } from "#common/service/log.ts";
import { headersTooLarge } from "./ambiguous-requests.ts";
import { discardRest } from "./body/discard-rest.ts";
import { streamOf } from "./https/http2.ts";
import { problemHeaders, toProblem } from "./problems.ts";
import { PAGE_HEADERS } from "./web-pages.ts";

/**
 * Answers every error of a route with a problem document. Details for the operator alone are logged: the
 * cause of an internal error, or the message of a transport that could not reach a service.
 */
export function answerWithProblems(app: FastifyInstance, log: Log): void {
  app.setErrorHandler((error: FastifyError, request, reply) => refuse(error, request, reply, log));
}

export async function refuse(
  error: Error,
  request: FastifyRequest,
  reply: FastifyReply,
  log: Log,
): Promise<FastifyReply> {
  const known = asAirlockError(isBrokenOff(error, request) ? clientGone(error) : fromFramework(error));
  const { code, logDetail: detail } = known;
  const call = { code, detail, method: request.method, route: request.routeOptions.url };
  if (code === "internal") log.error({ err: known.cause ?? known, ...call }, "request failed");
  else if (detail !== undefined && code !== "cancelled") log.warn(call, "request refused");
  const problem = toProblem(known);
  // Every 401 names a way to authenticate (RFC 9110, section 15.5.2).
  if (problem.status === 401 && !reply.hasHeader("www-authenticate"))
    reply.header("www-authenticate", "Bearer");
  if (!(await discardRest(request.raw))) closeAfter(reply);
  return reply
    .code(problem.status)
    .headers(problemHeaders(problem, known.retryAfterSeconds))
    .send(JSON.stringify(problem));
}

/** Takes nothing more of the client on this connection, with HTTP/2 on this stream, once the answer is sent. */
function closeAfter(reply: FastifyReply): void {
  const stream = streamOf(reply.raw);
  if (stream) stream.once("finish", () => stream.close(constants.NGHTTP2_NO_ERROR));
  else reply.header("connection", "close");
}

/** Whether the error only says that the client disconnected in the middle of its request. */
function isBrokenOff(error: Error, { raw }: FastifyRequest): boolean {
  const isGone = streamOf(raw) ? raw.aborted : raw.destroyed && !raw.complete;
  return !(error instanceof AirlockError) && isGone;
}

function clientGone(cause: Error): AirlockError {
  return new AirlockError(
    "cancelled",
    "The client ended the connection before it had sent the whole request.",
    {
      cause,
    },
  );
}

// Translates errors of fastify itself, which it raises before a route's handler runs.
function fromFramework(error: Error & { code?: string; statusCode?: number }): Error {
  switch (error.code) {
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return new AirlockError(
        "unsupported_media_type",
        'The Content-Type header is not a media type. Send "Content-Type: application/json".',
      );
    case "FST_ERR_BAD_URL":
      return new AirlockError("route_not_found", "The path is not valid: percent-encode it as UTF-8.");
    case "FST_ERR_MAX_PARAM_LENGTH":
      return new AirlockError("route_not_found", "A part of the path is too long to name anything.");
    default:
      // An error of a fastify plugin with a status below 500, such as for a file that the docs page does not
      // have, becomes a 404.
      return (error.statusCode ?? 500) < 500 && !(error instanceof AirlockError)
        ? new AirlockError(
            "route_not_found",
            "Nothing is served at this path. GET /openapi.json lists every route.",
          )
        : error;
  }
}

const CONNECTION_ERRORS: Readonly<Record<string, [ErrorCode, string]>> = {
  HPE_HEADER_OVERFLOW: ["headers_too_large", headersTooLarge().message],
  ERR_HTTP_REQUEST_TIMEOUT: [
    "request_timeout",
    "The request did not arrive completely in time. Send it again over a faster connection.",
  ],
};

/** The codes of Node's errors about HTTP/1.1, as opposed to those about TLS. */
const HTTP_ERROR = /^(HPE_|ERR_HTTP_)/;

/**
 * Closes a connection whose bytes are no valid HTTP request. Complete requests that arrived before these
 * bytes are answered first. Without such requests the client gets a problem document, unless an answer has
 * been sent in part, because the client would take the document for the rest of that answer.
 */
export function refuseConnection(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) return void socket.destroy();
  // A connection on which TLS itself failed takes no answer.
  if (socket instanceof TLSSocket && !HTTP_ERROR.test(error.code ?? "")) return void socket.destroy();
  if (closeAfterOwedAnswers(socket)) return;
  if (hasBegunAnswer(socket)) return void socket.destroy();
  const [code, detail] = CONNECTION_ERRORS[error.code ?? ""] ?? [
    "malformed_http",
    "The request is not valid HTTP/1.1. Use an HTTP client such as curl.",
  ];
  endWithProblem(socket, new AirlockError(code, detail));
}

/**
 * Handles the requests that Node's server would answer by itself, without a problem document. CONNECT is
 * refused with 405. A request with an unknown `Expect` header is handled like any other, because a server may
 * ignore that header (RFC 9110, section 10.1.1).
 */
export function answerSpecialRequests(server: Server): void {
  server.on("checkExpectation", (request: IncomingMessage, response: ServerResponse) =>
    server.emit("request", request, response),
  );
  server.on("connect", (_request: IncomingMessage, socket: Socket | ServerResponse) => {
    if (!(socket instanceof Duplex)) return refuseStream(socket, connectRefused(), ALLOWED);
    // The connection is closed when the refusal is sent, because Node's server gives a connection up at
    // CONNECT, so nothing would close it when the gateway stops.
    socket.once("finish", () => socket.destroy());
    socket.on("error", () => socket.destroy()).resume();
    // An earlier request on this connection has no answer yet, and the client would take the refusal for that
    // answer. So the connection is closed without one.
    if (owesAnswers(socket)) return void socket.destroy();
    endWithProblem(socket, connectRefused(), ALLOWED);
  });
}

const ALLOWED = { allow: "GET, POST" };

function connectRefused(): AirlockError {
  return new AirlockError(
    "method_not_allowed",
    "The gateway is not a proxy, so it does not accept CONNECT. Send GET or POST with the path only.",
  );
}

/** Refuses a request over HTTP/2 that reaches no route, on its own stream. */
function refuseStream(response: ServerResponse, error: AirlockError, more: Record<string, string>): void {
  const problem = toProblem(error);
  response.writeHead(problem.status, { ...PAGE_HEADERS, ...problemHeaders(problem), ...more });
  response.end(JSON.stringify(problem));
}

function endWithProblem(socket: Socket, error: AirlockError, more: Record<string, string> = {}): void {
  const problem = toProblem(error);
  const body = JSON.stringify(problem);
  const headers = Object.entries({
    ...PAGE_HEADERS,
    ...problemHeaders(problem),
    ...more,
    "content-length": Buffer.byteLength(body),
    connection: "close",
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${problem.status} ${problem.title}\r\n${headers.join("")}\r\n${body}`);
}

import {
  type ClientRequest,
  type IncomingMessage,
  request as openRequest,
  type ServerResponse,
} from "node:http";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { searchTimeOver } from "../brokered/even-pace.ts";
import { injectHeader, placeholderGuard, refusePlaceholders } from "../brokered/placeholders.ts";
import { filterBody } from "../brokered/response-body.ts";
import { type ResponseFilter, redactLines } from "../brokered/response-filter.ts";
import { asRefusal, Refusal } from "../policy/refusal.ts";
import type { Route } from "../routes/routes.ts";
import type { Target } from "./destination.ts";
import { gathered } from "./gathered.ts";
import { hasOtherCoding, hasTooManyLines, MAX_HEADER_LINES } from "./http-edge.ts";
import { endToEndHeaders, type Header } from "./http-headers.ts";

/** A request of a run that is to be sent to a server. */
export type Forward = {
  readonly route: Route;
  readonly target: Target;
  /** The path and query exactly as the script wrote them. */
  readonly path: string;
  /** Whether the connection to the server is encrypted. A secret is sent only over an encrypted one. */
  readonly secure: boolean;
  /** Connects to the target, with TLS where `secure` is true. */
  readonly connect: () => Promise<Duplex>;
};

/** The most bytes of a response's header lines together. */
const MAX_HEADER_BYTES = 64 * 1024;
/**
 * The most interim responses (such as `103 Early Hints`) that may come before the final one; with more the
 * response is refused.
 */
const MAX_INTERIM = 16;
/**
 * The least number of bytes that a header line or an interim response counts towards the traffic limit of a
 * run.
 */
const LEAST_LINE_BYTES = 64;
/**
 * Names of request headers that ask for a response that could not be searched for secrets: `Range`,
 * `If-Range`, other spellings that some servers accept (`Request-Range`, `x-ms-range`), `Accept-Encoding`,
 * and `A-IM` (RFC 3229).
 */
const ASKS_FOR_UNREADABLE = /^(?:accept-encoding|a-im)$|(^|-)range$/i;

/**
 * Sends a request to the server and the response back to the script. Both are written anew, so that the
 * framing of one connection has no effect on the other. Rejects, mostly with a Refusal, when the attempt
 * fails; if a part of the response has been sent by then, the script's connection is broken as well.
 */
export async function forward(
  request: IncomingMessage,
  response: ServerResponse,
  { route, target, path, secure, connect }: Forward,
): Promise<void> {
  const filter = route.filters.get(target.host);
  const headers = requestHeaders(request, route, { target, path, secure, filter });
  route.traffic.count("out", path.length + bytesOf(headers));
  const connection = await connect();
  if (response.destroyed) {
    // The script has closed its connection meanwhile, so no later event would close the connection to the
    // server.
    connection.destroy();
    return;
  }
  const abort = new AbortController();
  response.once("close", () => {
    if (!response.writableFinished) abort.abort();
    connection.destroy();
  });
  const upstream = openRequest({
    createConnection: () => connection,
    method: request.method ?? "GET",
    path,
    headers: headers.flat(),
    setHost: false,
    insecureHTTPParser: false,
    maxHeaderSize: MAX_HEADER_BYTES,
    signal: abort.signal,
  });
  // 0 turns off Node's limit of 1,000 header lines. Node drops the lines beyond its limit, and a dropped line
  // could say that the body is encoded. The bytes of the lines are limited by maxHeaderSize.
  upstream.maxHeadersCount = 0;
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    upstream.once("response", resolve);
    let interim = 0;
    for (const event of ["information", "continue"]) {
      upstream.on(event, () => {
        try {
          route.traffic.count("in", LEAST_LINE_BYTES);
          if (++interim > MAX_INTERIM) throw tooManyInterim();
        } catch (error) {
          // An exception would end the process, because Node's parser calls this listener. `answered` is
          // rejected at once, because the final response may be in the same bytes as this interim response.
          reject(error);
          upstream.destroy();
        }
      });
    }
    upstream.once("upgrade", (_response, socket) => {
      socket.destroy();
      reject(new Refusal(502, "unchecked_response", "Airlock refused a response that changes the protocol"));
    });
    // The listener is never removed, because an error after the response must not end the process.
    upstream.on("error", reject);
  });
  const refused = sendBody(request, upstream, route);
  answered.catch(() => undefined);
  refused.catch(() => undefined);
  try {
    const incoming = await Promise.race([answered, refused]);
    await Promise.race([sendBack(incoming, request, response, { traffic: route.traffic, filter }), refused]);
  } catch (error) {
    const leftByScript = response.destroyed && !(error instanceof Refusal);
    abort.abort();
    if (leftByScript) return;
    if (response.headersSent) response.destroy();
    throw asRefusal(error, target.host, target.port);
  }
}

/**
 * Sends the request's body to the server. Rejects with a Refusal when the body contains a placeholder or
 * exceeds the traffic limit. Otherwise the promise never settles, because a server may answer before the body
 * has ended.
 */
function sendBody(
  request: IncomingMessage,
  upstream: ClientRequest,
  { placeholders, traffic }: Route,
): Promise<never> {
  if (framingOf(request).length === 0) {
    upstream.end();
    return new Promise(() => undefined);
  }
  // The pipeline gets a stream of its own instead of the request, because on an error it would close the
  // request, and with it the script's connection before the script has read the reason.
  const body = gathered(request, traffic, "out");
  return new Promise((_, reject) => {
    pipeline(body, placeholderGuard(placeholders, traffic.owner), upstream).catch((error: unknown) => {
      // Other errors, of the connection to the server, are handled by the listeners of `upstream`.
      if (error instanceof Refusal) reject(error);
    });
  });
}

/**
 * The headers that say where the request's body ends; empty when there is no body. They are set anew, so that
 * a `Connection` header of the script cannot remove them.
 */
function framingOf({ headers }: IncomingMessage): Header[] {
  if (headers["transfer-encoding"] !== undefined) return [["Transfer-Encoding", "chunked"]];
  const length = headers["content-length"];
  return length === undefined ? [] : [["Content-Length", length]];
}

function requestHeaders(
  request: IncomingMessage,
  { placeholders }: Route,
  {
    target,
    path,
    secure,
    filter,
  }: Pick<Forward, "target" | "path" | "secure"> & { readonly filter: ResponseFilter | undefined },
): Header[] {
  refusePlaceholders(placeholders, path, "in the URL");
  // Headers that ask for encoded or partial responses are removed, because the response must be searched for
  // secrets: a secret that is cut into ranges cannot be found.
  const passed = endToEndHeaders(request.rawHeaders, ["host", "expect", "content-length"]).filter(
    ([name]) => !filter || !ASKS_FOR_UNREADABLE.test(name),
  );
  const injected = passed.map(([name, value]): Header => {
    // Header names are compared in lower case, because clients may change their case.
    refusePlaceholders(placeholders, name.toLowerCase(), "in a header's name");
    if (secure) return [name, injectHeader(placeholders, target, name, value)];
    refusePlaceholders(placeholders, value, `in the header ${name} of a request that is not encrypted`);
    return [name, value];
  });
  const defaultPort = secure ? 443 : 80;
  const host = target.host.includes(":") ? `[${target.host}]` : target.host;
  const hostHeader: Header = ["Host", target.port === defaultPort ? host : `${host}:${target.port}`];
  return [
    hostHeader,
    ...injected,
    ...(filter ? [["Accept-Encoding", "identity"] as const] : []),
    ...framingOf(request),
    ["Connection", "close"],
  ];
}

async function sendBack(
  incoming: IncomingMessage,
  request: IncomingMessage,
  response: ServerResponse,
  { traffic, filter }: Pick<Route, "traffic"> & { readonly filter: ResponseFilter | undefined },
): Promise<void> {
  if (hasTooManyLines(incoming.rawHeaders)) {
    const most = `more than ${MAX_HEADER_LINES} header lines`;
    throw new Refusal(502, "over_limit", `Airlock refused the response: it has ${most}`);
  }
  const status = incoming.statusCode ?? 502;
  const hasBody = request.method !== "HEAD" && status !== 204 && status !== 304;
  if (hasBody && hasOtherCoding(incoming.headers)) {
    const what = "its Transfer-Encoding is another than chunked";
    throw new Refusal(502, "unchecked_response", `Airlock refused the response: ${what}`);
  }
  if (filter && hasBody) refuseUnreadable(incoming, status);
  let headers = endToEndHeaders(incoming.rawHeaders);
  let reason = incoming.statusMessage ?? "";
  // The bytes of the response's headers are counted before the redaction, because a placeholder has another
  // length than its secret.
  traffic.count("in", reason.length + bytesOf(headers));
  if (filter) {
    const fromMs = performance.now();
    const clean = redactLines(filter, [reason, ...headers.flat()]);
    await searchTimeOver(fromMs, reason.length + bytesOf(headers));
    reason = clean[0] as string;
    headers = headers.flatMap(([name], index): Header[] => {
      const [cleanName, cleanValue = ""] = clean.slice(2 * index + 1, 2 * index + 3);
      const isLeftOut = cleanName !== name || (hasBody && name.toLowerCase() === "content-length");
      return isLeftOut ? [] : [[name, cleanValue]];
    });
  }
  response.writeHead(status, reason, headers.flat());
  if (!hasBody) {
    incoming.resume();
    response.end();
    return;
  }
  // The headers are sent at once, because the filter holds the body's first bytes back, and a client that
  // waits for events needs to see that the stream has begun.
  if (filter) response.flushHeaders();
  const body = gathered(incoming, traffic, "in");
  if (filter) await pipeline(body, filterBody(filter, incoming, traffic.owner), response);
  else await pipeline(body, response);
}

function bytesOf(headers: readonly Header[]): number {
  return headers.reduce(
    (sum, [name, value]) => sum + Math.max(LEAST_LINE_BYTES, name.length + value.length),
    0,
  );
}

function tooManyInterim(): Refusal {
  return new Refusal(
    502,
    "over_limit",
    `Airlock refused the response: more than ${MAX_INTERIM} interim responses (1xx) came before it`,
  );
}

function refuseUnreadable({ headers }: IncomingMessage, status: number): void {
  // A partial response is refused, because a server may send one although no range was requested.
  const isPart =
    status === 206 ||
    headers["content-range"] !== undefined ||
    /^\s*multipart\/byteranges/i.test(headers["content-type"] ?? "");
  if (isPart) {
    throw new Refusal(
      502,
      "unchecked_response",
      "Airlock refused the response: it is only a part of the whole, so it could not be checked for secrets; send the request without a Range header",
    );
  }
  // A response with an instance manipulation (RFC 3229) counts as encoded.
  const isManipulated = status === 226 || headers.im !== undefined;
  const encoding = isManipulated ? "manipulated" : (headers["content-encoding"] ?? "identity");
  if (encoding.toLowerCase() === "identity") return;
  throw new Refusal(
    502,
    "unchecked_response",
    "Airlock refused the response: it is encoded, so it could not be checked for secrets",
  );
}

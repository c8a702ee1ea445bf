import {
  type ClientRequest,
  type IncomingMessage,
  request as openRequest,
  type ServerResponse,
} from "node:http";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { injectHeader, placeholderGuard, refusePlaceholders } from "../brokered/placeholders.ts";
import { filterBody } from "../brokered/response-body.ts";
import { type ResponseFilter, redactLines } from "../brokered/response-filter.ts";
import { asRefusal, Refusal } from "../policy/refusal.ts";
import type { Route } from "../routes/routes.ts";
import type { Target } from "./destination.ts";
import { gathered } from "./gathered.ts";
import { hasTooManyLines, MAX_HEADER_LINES } from "./http-edge.ts";
import { endToEndHeaders, type Header } from "./http-headers.ts";

/** One request of a run on its way to a server. */
export type Forward = {
  readonly route: Route;
  readonly target: Target;
  /** Path and query as the script wrote them. */
  readonly path: string;
  /** Only a connection that is encrypted may carry a secret. */
  readonly secure: boolean;
  /** Connects to the target. */
  readonly connect: () => Promise<Duplex>;
};

const MAX_HEADER_BYTES = 64 * 1024;
/** Responses like `103 Early Hints` before the one that counts. */
const MAX_INTERIM = 16;
/** What a header line, or a response without one, costs at least. */
const LEAST_LINE_BYTES = 64;
/** `Range`, `If-Range`, what some servers take for it (`Request-Range`, `x-ms-range`), and `A-IM` (RFC 3229). */
const ASKS_FOR_UNREADABLE = /^(?:accept-encoding|a-im)$|(^|-)range$/i;

/**
 * Sends a request on and its response back, both written anew: what framed them on one side frames nothing on the other.
 * Rejects, mostly with a Refusal, when nothing of a response was sent yet; later it breaks the connection.
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
    // The script has gone meanwhile; nobody would end this connection.
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
  // All header lines, whose bytes are limited: behind the first 1,000 one could say that the body is encoded.
  upstream.maxHeadersCount = 0;
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    upstream.once("response", resolve);
    let interim = 0;
    for (const event of ["information", "continue"]) {
      upstream.on(event, () => {
        route.traffic.count("in", LEAST_LINE_BYTES);
        if (++interim <= MAX_INTERIM) return;
        // At once, because the response may be in the same bytes.
        reject(tooManyInterim());
        upstream.destroy();
      });
    }
    upstream.once("upgrade", (_response, socket) => {
      socket.destroy();
      reject(new Refusal(502, "unchecked_response", "Airlock refused a response that changes the protocol"));
    });
    // Listened to for good: an error after the response must not end the process.
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

/** Sends the body on. Rejects with a Refusal when a part of it may not pass, and never settles otherwise: a server may answer before the body is over. */
function sendBody(
  request: IncomingMessage,
  upstream: ClientRequest,
  { placeholders, traffic }: Route,
): Promise<never> {
  if (framingOf(request).length === 0) {
    upstream.end();
    return new Promise(() => undefined);
  }
  // Not the request itself: a pipeline would close the script's connection before the script knows why.
  const body = gathered(request, traffic, "out");
  return new Promise((_, reject) => {
    pipeline(body, placeholderGuard(placeholders, traffic.owner), upstream).catch((error: unknown) => {
      // What else goes wrong with the connection, its own listeners hear.
      if (error instanceof Refusal) reject(error);
    });
  });
}

/** How the body is framed on its way on; empty: there is none. Never copied, so that no header can take it out. */
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
  // What comes back must be readable, and whole: a secret that is cut into ranges has no pattern.
  const passed = endToEndHeaders(request.rawHeaders, ["host", "expect", "content-length"]).filter(
    ([name]) => !filter || !ASKS_FOR_UNREADABLE.test(name),
  );
  const injected = passed.map(([name, value]): Header => {
    // Clients write names as they like: case says nothing there.
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
  if (filter && hasBody) refuseUnreadable(incoming, status);
  let headers = endToEndHeaders(incoming.rawHeaders);
  let reason = incoming.statusMessage ?? "";
  // As they came: a placeholder has another length than what it stands for.
  traffic.count("in", reason.length + bytesOf(headers));
  if (filter) {
    const clean = redactLines(filter, [reason, ...headers.flat()]);
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
  // The body comes with a lag, and who waits for events wants to see first that they are on their way.
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
  // A server may send a part unasked.
  const isPart =
    status === 206 ||
    headers["content-range"] !== undefined ||
    /^\s*multipart\/byteranges/i.test(headers["content-type"] ?? "");
  if (isPart) {
    throw new Refusal(
      502,
      "unchecked_response",
      "Airlock refused the response: it is only a part, so it could not be checked for secrets",
    );
  }
  // An instance manipulation (RFC 3229) is an encoding by another name.
  const isManipulated = status === 226 || headers.im !== undefined;
  const encoding = isManipulated ? "manipulated" : (headers["content-encoding"] ?? "identity");
  const transfer = headers["transfer-encoding"] ?? "chunked";
  if (encoding.toLowerCase() === "identity" && transfer.toLowerCase() === "chunked") return;
  throw new Refusal(
    502,
    "unchecked_response",
    "Airlock refused the response: it is encoded, so it could not be checked for secrets",
  );
}

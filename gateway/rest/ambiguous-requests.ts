import type { IncomingMessage } from "node:http";
import { AirlockError } from "#common/errors.ts";
import { streamOf } from "./https/http2.ts";

/** Bytes of the request line and all headers together. */
export const MAX_HEADER_BYTES = 16 * 1024;
const HOSTS: readonly string[] = [":authority", "host"];

/**
 * Refuses requests that this gateway and a proxy in front of it could understand differently, although Node's parser
 * accepts them: HTTP versions other than 1.0 and 1.1, more than one Host header, HTTP/1.1 without one, and a full URL
 * that names another host than the Host header (RFC 9112, sections 2.3 and 3.2). Over HTTP/2: a host that is missing
 * or named twice, a scheme other than https, and headers that are larger than HTTP/1.1 allows here.
 */
export function refuseAmbiguous(request: IncomingMessage): void {
  if (streamOf(request)) refuseAmbiguousStream(request);
  else refuseAmbiguousMessage(request);
}

function refuseAmbiguousStream({ rawHeaders, headers, url = "" }: IncomingMessage): void {
  if (rawHeaders.reduce((bytes, text) => bytes + text.length, 0) > MAX_HEADER_BYTES) throw headersTooLarge();
  const hosts = rawHeaders.filter((_, at) => at % 2 === 1 && HOSTS.includes(rawHeaders[at - 1] ?? ""));
  if (hosts.length === 0) throw malformed("The request names no host; HTTP/2 demands :authority.");
  if (new Set(hosts.map((host) => host.toLowerCase())).size > 1)
    throw malformed(":authority and the host header differ. Send :authority only.");
  if (headers[":scheme"] !== "https") throw malformed("The :scheme is not https.");
  if (!url.startsWith("/") && url !== "*") throw malformed("The :path does not begin with a slash.");
}

function refuseAmbiguousMessage({ httpVersion, rawHeaders, headers, url = "" }: IncomingMessage): void {
  if (httpVersion !== "1.1" && httpVersion !== "1.0") {
    throw malformed("The request line names a version that is not HTTP/1.1. Send HTTP/1.1.");
  }
  const hosts = rawHeaders.filter((name, at) => at % 2 === 0 && name.toLowerCase() === "host").length;
  if (hosts > 1) throw malformed("There is more than one Host header. Send exactly one.");
  if (hosts === 0 && httpVersion === "1.1") {
    throw malformed("The Host header is missing, which HTTP/1.1 demands.");
  }
  if (url.startsWith("/") || url === "*") return;
  // The URL of a request line counts more than the Host header, so a full URL that names another host would
  // mislead code that checks only the header.
  const authority = /^https?:\/\/([^/?#]*)/i.exec(url)?.[1];
  if (authority === undefined || (hosts === 1 && authority.toLowerCase() !== headers.host?.toLowerCase())) {
    throw malformed("The request line names another host than the Host header. Send the path only.");
  }
}

function malformed(detail: string): AirlockError {
  return new AirlockError("malformed_http", detail);
}

export function headersTooLarge(): AirlockError {
  return new AirlockError(
    "headers_too_large",
    "The request line and headers together are larger than 16 KiB. Send fewer or shorter headers.",
  );
}

import type { IncomingMessage } from "node:http";
import { AirlockError } from "#common/errors.ts";

/**
 * Refuses requests that this gateway and a proxy in front of it could understand differently, although Node's parser
 * accepts them: HTTP versions other than 1.0 and 1.1, more than one Host header, HTTP/1.1 without one, and a full URL
 * that names another host than the Host header (RFC 9112, sections 2.3 and 3.2).
 */
export function refuseAmbiguous({ httpVersion, rawHeaders, headers, url = "" }: IncomingMessage): void {
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

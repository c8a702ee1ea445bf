import type { IncomingMessage } from "node:http";
import { AirlockError } from "#common/errors.ts";

/**
 * Throws for a request that this gateway and a proxy before it could understand differently, though the parser takes it: one
 * of another version, or one that does not name its host exactly once (RFC 9112, sections 2.3 and 3.2).
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
  // A whole URL counts more than the Host header; all that looks at the header would be misled.
  const authority = /^https?:\/\/([^/?#]*)/i.exec(url)?.[1];
  if (authority === undefined || (hosts === 1 && authority.toLowerCase() !== headers.host?.toLowerCase())) {
    throw malformed("The request line names another host than the Host header. Send the path only.");
  }
}

function malformed(detail: string): AirlockError {
  return new AirlockError("malformed_http", detail);
}

// Headers that apply to one connection only (RFC 9110, section 7.6.1).
const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

export type Header = readonly [name: string, value: string];

/**
 * The headers to pass on to the next connection, in order. `also` has the names of further headers to remove,
 * in lower case.
 */
export function endToEndHeaders(rawHeaders: readonly string[], also: readonly string[] = []): Header[] {
  const headers: Header[] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    headers.push([rawHeaders[at] as string, rawHeaders[at + 1] as string]);
  }
  const named = headers
    .filter(([name]) => name.toLowerCase() === "connection")
    .flatMap(([, value]) => value.split(",").map((option) => option.trim().toLowerCase()));
  const dropped = new Set([...HOP_BY_HOP, ...named, ...also]);
  return headers.filter(([name]) => !dropped.has(name.toLowerCase()));
}

import type { IncomingMessage } from "node:http";
import { streamOf } from "../https/http2.ts";

/** Bytes after which no more of a refused body is read, and its connection is closed. */
const MAX_DISCARDED_BYTES = 128 * 1024 * 1024;

/**
 * Reads and drops the rest of a refused request, because a client that sends everything before it reads would
 * see a reset connection instead of the refusal. Resolves to true when the connection can take another
 * request, to false when it must be closed; with HTTP/2 the request's stream.
 */
export async function discardRest(request: IncomingMessage): Promise<boolean> {
  // With HTTP/2 the client reads the refusal while it sends, and ends sending when its stream is closed.
  if (streamOf(request)) return request.readableEnded || !hasBody(request);
  if (request.readableEnded || !hasBody(request)) return true;
  if (request.destroyed || Number(request.headers["content-length"]) > MAX_DISCARDED_BYTES) return false;
  return new Promise((resolve) => {
    let size = 0;
    request.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_DISCARDED_BYTES) resolve(false);
    });
    request.once("end", () => resolve(true));
    request.once("close", () => resolve(false));
  });
}

/** Whether the request has a body, even if it has not arrived yet. */
export function hasBody({ headers }: IncomingMessage): boolean {
  const { "content-length": length, "transfer-encoding": encoding } = headers;
  return encoding !== undefined || (length !== undefined && length !== "0");
}

import type { IncomingMessage } from "node:http";

const MAX_DISCARDED_BYTES = 128 * 1024 * 1024;

/**
 * Throws away what is still to come of a request that is refused, up to the request timeout: a client that sends all
 * before it reads would see a reset connection instead of the answer. Resolves to whether the connection can be used
 * for another request.
 */
export async function discardRest(request: IncomingMessage): Promise<boolean> {
  const { "content-length": length, "transfer-encoding": encoding } = request.headers;
  if (request.readableEnded || (encoding === undefined && (length === undefined || length === "0")))
    return true;
  if (request.destroyed || Number(length) > MAX_DISCARDED_BYTES) return false;
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

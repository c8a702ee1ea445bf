// Bytes of the largest answer of an issuer; a real set of keys has a few thousand.
const MAX_BYTES = 256 * 1024;

/** Fetches a JSON object. Rejects for a redirect, another status than 200, too large an answer, and at the signal. */
export async function fetchJson(url: string, signal: AbortSignal): Promise<Record<string, unknown>> {
  const response = await fetch(url, { signal, redirect: "error", headers: { accept: "application/json" } });
  try {
    if (response.status !== 200) throw new Error(`${url} answered with status ${response.status}`);
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    for await (const piece of response.body ?? []) {
      bytes += piece.byteLength;
      if (bytes > MAX_BYTES) throw new Error(`the answer of ${url} is larger than ${MAX_BYTES} bytes`);
      pieces.push(piece);
    }
    const value: unknown = JSON.parse(Buffer.concat(pieces).toString("utf8"));
    if (typeof value !== "object" || value === null || Array.isArray(value))
      throw new Error(`${url} did not answer with a JSON object`);
    return value as Record<string, unknown>;
  } finally {
    // An answer that is not read to its end would keep its connection.
    if (!response.bodyUsed) await response.body?.cancel();
  }
}

import { ApiError } from "./api-error.ts";

/**
 * Reads the body of a successful answer. Throws an ApiError when the body is no JSON, because another
 * server than Airlock sent it.
 */
export function parseAnswer<T>(body: string, url: string, parse: (body: string) => T = JSON.parse): T {
  try {
    return parse(body);
  } catch (cause) {
    const message = `The server at ${url} answered with something else than JSON, and not as Airlock does.`;
    throw new ApiError("unexpected_answer", message, { url, attempts: 1, cause });
  }
}

import { withoutUrlCredentials } from "#common/projects/url-credentials.ts";
import { ConfigError, readEnvironment } from "#common/service/environment.ts";
import { systemReason } from "#common/system-reason.ts";
import { RestError } from "./rest-error.ts";

/** A client of the REST API. Bodies are passed as JSON text in both directions, so that no number changes. */
export type RestClient = {
  readonly url: string;
  get(path: string): Promise<string>;
  post(path: string, body?: string): Promise<string>;
};

const CALL_TIMEOUT_MS = 60_000;

/**
 * Makes a client for AIRLOCK_URL, or for the port AIRLOCK_PORT of this machine. Its calls reject with a
 * RestError.
 */
export function createRestClient(env: Readonly<Record<string, string | undefined>>): RestClient {
  const url = addressIn(env);
  const call = async (method: string, path: string, body?: string) => {
    const headers: Record<string, string> = body === undefined ? {} : { "content-type": "application/json" };
    const signal = AbortSignal.timeout(CALL_TIMEOUT_MS);
    try {
      const response = await fetch(url + path, {
        method,
        headers,
        signal,
        ...(body !== undefined && { body }),
      });
      const text = await response.text();
      if (!response.ok) throw new RestError(sentenceFrom(text, response.status), response.status);
      return text;
    } catch (error) {
      throw error instanceof RestError ? error : new RestError(unreachable(url, error));
    }
  };
  return { url, get: (path) => call("GET", path), post: (path, body) => call("POST", path, body) };
}

function sentenceFrom(text: string, status: number): string {
  try {
    const problem: { title?: string; detail?: string } = JSON.parse(text);
    if (problem.detail || problem.title) return problem.detail ?? `${problem.title}.`;
  } catch {
    // The body is no problem document, so a server other than Airlock sent it, such as a proxy.
  }
  return `The service answered with HTTP status ${status}.`;
}

function unreachable(fullUrl: string, error: unknown): string {
  // AIRLOCK_URL may hold the password of a reverse proxy.
  const url = withoutUrlCredentials(fullUrl);
  const reason = error instanceof Error ? error : new Error(String(error));
  if (reason.name === "TimeoutError")
    return `Airlock at ${url} did not answer within ${CALL_TIMEOUT_MS / 1_000} seconds.`;
  const { code } = (reason.cause ?? {}) as { code?: string };
  if (code === "ECONNREFUSED") return `Airlock is not running at ${url}; start it with ./airlock up.`;
  return `Airlock at ${url} cannot be reached: ${whyNot(reason, code)}.`;
}

function whyNot({ cause, message }: Error, code: string | undefined): string {
  if (code === "UND_ERR_SOCKET") return "it ended the connection";
  if (code === "ERR_SSL_WRONG_VERSION_NUMBER") return "it does not speak TLS; try http:// for https://";
  return cause === undefined ? withoutUrlCredentials(message) : systemReason(cause);
}

/**
 * Reads the service's URL from the environment. Throws a ConfigError that does not repeat a wrong URL,
 * because it may hold the password of a reverse proxy.
 */
function addressIn(env: Readonly<Record<string, string | undefined>>): string {
  if (env.AIRLOCK_URL) {
    const url = URL.parse(env.AIRLOCK_URL);
    if (url && /^https?:$/.test(url.protocol)) return env.AIRLOCK_URL.replace(/\/+$/, "");
    throw new ConfigError(["AIRLOCK_URL must be a URL such as http://127.0.0.1:8000."]);
  }
  const read = readEnvironment(env);
  const port = read.integer("AIRLOCK_PORT", 8_000, 1, 65_535);
  read.check();
  return `http://127.0.0.1:${port}`;
}

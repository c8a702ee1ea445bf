import { type CallOptions, createCaller } from "./call.ts";
import {
  type Accepted,
  createExecutions,
  type Executions,
  type SubmitOptions,
  type SubmitRequest,
  submit,
} from "./executions.ts";
import { createKeys, getMe, type Keys, type Me } from "./keys.ts";
import { createProjects, type Projects } from "./projects.ts";
import { DEFAULT_RETRY, type RetryPolicy } from "./retry.ts";
import { fetchTransport, type Transport } from "./transport.ts";

export type AirlockOptions = {
  /** The address of Airlock, such as http://127.0.0.1:8000. User and password in it are sent as HTTP Basic. */
  readonly url: string;
  /** The API key (alk_...) that is sent as bearer token; undefined: none. */
  readonly key?: string | undefined;
  /**
   * The policy by which failed requests are sent again, for calls that name none. Undefined: `DEFAULT_RETRY`.
   */
  readonly retry?: RetryPolicy | "never" | undefined;
  /** Milliseconds after which an attempt without an answer is ended as failed. Undefined: 60,000. */
  readonly attemptMs?: number | undefined;
  /**
   * The function that sends each HTTP request. Undefined: `fetchTransport`, which uses the `fetch` of Node or
   * the browser.
   */
  readonly transport?: Transport | undefined;
};

/** A client of Airlock's REST API. Its calls reject with an ApiError, or with the reason of an aborted signal. */
export type Airlock = {
  /** The address of Airlock, without credentials. */
  readonly url: string;
  /** Submits a script. Resolves as soon as Airlock has accepted it. */
  submit(request: SubmitRequest, options?: SubmitOptions): Promise<Accepted>;
  readonly executions: Executions;
  readonly projects: Projects;
  readonly keys: Keys;
  /** Who this client is to Airlock, and what it may do. */
  me(options?: CallOptions): Promise<Me>;
};

const ATTEMPT_MS = 60_000;

/**
 * Makes a client. Throws a TypeError when `url` is no http or https URL, or has a user although there is a
 * `key`; the error repeats neither.
 */
export function createAirlock({
  url,
  key,
  retry = DEFAULT_RETRY,
  attemptMs = ATTEMPT_MS,
  transport = fetchTransport,
}: AirlockOptions): Airlock {
  const caller = createCaller({ ...addressIn(url, key), retry, attemptMs, transport });
  return {
    url: caller.url,
    submit: (request, options) => submit(caller, request, options),
    executions: createExecutions(caller),
    projects: createProjects(caller),
    keys: createKeys(caller),
    me: (options) => getMe(caller, options),
  };
}

/**
 * Splits an address into the URL that stands before each path, and the Authorization header for the key, or for
 * the user and password in the address.
 */
function addressIn(text: string, key?: string): { url: string; headers: Readonly<Record<string, string>> } {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new TypeError("The address of Airlock must be a URL such as http://127.0.0.1:8000.");
  }
  return { url: url.origin + url.pathname.replace(/\/+$/, ""), headers: authorization(url, key) };
}

function authorization(url: URL, key: string | undefined): Readonly<Record<string, string>> {
  const hasUser = url.username !== "" || url.password !== "";
  if (key === undefined) return hasUser ? { authorization: basicAuth(url) } : {};
  if (hasUser)
    throw new TypeError("A request has one Authorization header: give a key, or a user in the URL.");
  return { authorization: `Bearer ${key}` };
}

function basicAuth({ username, password }: URL): string {
  const bytes = new TextEncoder().encode(`${decoded(username)}:${decoded(password)}`);
  return `Basic ${btoa(String.fromCharCode(...bytes))}`;
}

/** A part of a URL without its percent encoding; the part itself when it has a bare %. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** An HTTP request of the client. */
export type HttpRequest = {
  readonly method: "GET" | "POST" | "DELETE";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The text of the request's body; undefined: the request has none. */
  readonly body: string | undefined;
  /** Aborts the request, and the reading of its answer. */
  readonly signal: AbortSignal;
};

/** An HTTP answer that was read to its end. */
export type HttpAnswer = {
  readonly status: number;
  readonly text: string;
  /** The value of a header, whose name is given in lower case; undefined without one. */
  header(name: string): string | undefined;
};

/** Sends one request. Rejects when there is no complete answer, also when the request's signal aborts. */
export type Transport = (request: HttpRequest) => Promise<HttpAnswer>;

/**
 * Makes a transport that sends requests with the function `send`, such as a `fetch` that chooses among
 * several servers.
 */
export function createFetchTransport(send: (url: string, init: RequestInit) => Promise<Response>): Transport {
  return async ({ method, url, headers, body, signal }) => {
    const response = await send(url, { method, headers, signal, ...(body !== undefined && { body }) });
    return {
      status: response.status,
      text: await response.text(),
      header: (name) => response.headers.get(name) ?? undefined,
    };
  };
}

/**
 * Sends requests with the `fetch` of Node or of a browser. Redirects are not followed, because the script and its
 * settings are for this server only.
 */
export const fetchTransport = createFetchTransport((url, init) =>
  fetch(url, { ...init, redirect: "manual" }),
);

import { Agent, request } from "node:http";

/** The lightest HTTP client that Node allows, because its own cost is part of every figure. */
export type HttpClient = {
  get(path: string): Promise<string>;
  post(path: string, body: unknown): Promise<string>;
  close(): void;
};

const TIMEOUT_MS = 120_000;

/**
 * Makes a client that keeps connections open, as agents do. A status other than 2xx rejects with the text of
 * the answer.
 */
export function httpClient(url: string): HttpClient {
  const agent = new Agent({ keepAlive: true, maxSockets: 256 });
  const { hostname, port } = new URL(url);
  const call = (method: string, path: string, body?: string) =>
    new Promise<string>((resolve, reject) => {
      const headers = body === undefined ? {} : { "content-type": "application/json" };
      const options = { agent, hostname, port, method, path, headers, timeout: TIMEOUT_MS };
      const message = request(options, (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (piece: string) => {
          text += piece;
        });
        response.once("error", reject);
        response.once("end", () => {
          const status = response.statusCode ?? 0;
          if (status >= 200 && status < 300) resolve(text);
          else reject(new Error(`${method} ${path} answered ${status}: ${text.slice(0, 500)}`));
        });
      });
      message.once("timeout", () => message.destroy(new Error(`${method} ${path} did not answer`)));
      message.once("error", reject);
      message.end(body);
    });
  return {
    get: (path) => call("GET", path),
    post: (path, body) => call("POST", path, JSON.stringify(body)),
    close: () => agent.destroy(),
  };
}

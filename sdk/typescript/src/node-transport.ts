import { Agent as HttpAgent, request as openHttp } from "node:http";
import { Agent as HttpsAgent, request as openHttps } from "node:https";
import type { ConnectionOptions } from "node:tls";
import type { HttpAnswer, Transport } from "./transport.ts";

export type NodeTransport = { readonly send: Transport; close(): void };

/**
 * Sends requests with Node's own HTTP client over connections that stay open, for programs that make thousands
 * of calls a second: it takes about a third of the processor time of `fetch`. It follows no redirects. `tls` are
 * Node's options for https://, such as the authorities to trust (`ca`).
 */
export function createNodeTransport({
  connections = 256,
  tls = {},
}: {
  readonly connections?: number;
  readonly tls?: ConnectionOptions;
} = {}): NodeTransport {
  const kept = { keepAlive: true, maxSockets: connections };
  const agents = {
    http: new HttpAgent(kept),
    https: new HttpsAgent({ ...kept, ...tls }),
  };
  const send: Transport = ({ url, method, headers, body, signal }) =>
    new Promise<HttpAnswer>((resolve, reject) => {
      const { scheme, ...address } = addressOf(url);
      const options = { ...address, agent: agents[scheme], method, headers };
      const message = (scheme === "https" ? openHttps : openHttp)(options, (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (piece: string) => {
          text += piece;
        });
        response.once("error", reject);
        response.once("end", () => {
          const header = (name: string) => {
            const value = response.headers[name];
            return Array.isArray(value) ? value.join(", ") : value;
          };
          resolve({ status: response.statusCode ?? 0, text, header });
        });
      });
      message.once("error", reject);
      // The listener is never removed, because the signal belongs to this request alone and is freed with it.
      signal.addEventListener("abort", () => message.destroy(new Error("The request was aborted.")));
      message.end(body);
    });
  return {
    send,
    close() {
      for (const agent of Object.values(agents)) agent.destroy();
    },
  };
}

type Address = {
  readonly scheme: "http" | "https";
  readonly hostname: string;
  readonly port: string;
  readonly path: string;
};
const ORIGIN = /^(https?):\/\/(\[[^\]]+\]|[^/:?#[\]]+)(?::(\d+))?(?=\/)/;

/** Splits a URL by a pattern, because a URL object takes 5 µs longer. */
function addressOf(url: string): Address {
  const [origin, scheme, hostname, port = scheme === "https" ? "443" : "80"] = ORIGIN.exec(url) ?? [];
  if (origin === undefined || hostname === undefined)
    throw new TypeError("This transport speaks http:// and https:// only.");
  return {
    scheme: scheme as Address["scheme"],
    hostname: hostname.replace(/[[\]]/g, ""),
    port,
    path: url.slice(origin.length),
  };
}

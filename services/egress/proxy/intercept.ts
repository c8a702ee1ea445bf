import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import { closeAfterOwedAnswers } from "#common/http/owed-answers.ts";
import { awaitTurn } from "#common/http/pipelined-requests.ts";
import type { CertificateAuthority } from "../interception-ca.ts";
import { asRefusal, malformed } from "../policy/refusal.ts";
import type { Route } from "../routes/routes.ts";
import type { Attempts } from "./attempts.ts";
import { parseTarget } from "./authority-form.ts";
import type { Dial, Target } from "./destination.ts";
import { forward } from "./forward.ts";
import { closeSignal, createHttpEdge, refuseAmbiguous, refuseRequest } from "./http-edge.ts";
import type { Encrypt } from "./upstream-tls.ts";

type Context = { readonly route: Route; readonly target: Target };

/**
 * Decrypts a script's TLS connections to hosts that get a brokered secret, so that the secret can be inserted
 * into requests.
 */
export type Intercept = {
  /** Serves the TLS connection that a script begins on `socket` and that is meant for `target`. */
  take(socket: Duplex, route: Route, target: Target): Promise<void>;
  /** Closes all decrypted connections. */
  close(): void;
};

export function createIntercept(parts: {
  readonly authority: () => Promise<CertificateAuthority>;
  readonly dial: Dial;
  readonly encrypt: Encrypt;
  readonly attempts: Attempts;
}): Intercept {
  const contexts = new WeakMap<object, Context>();
  const server = createHttpEdge();

  const serve = async (request: IncomingMessage, response: ServerResponse) => {
    const context = contexts.get(request.socket);
    if (!context) return void request.socket.destroy();
    if (!(await awaitTurn(request, response))) return;
    const { route, target } = context;
    try {
      refuseAmbiguous(request);
      const path = request.url ?? "";
      if (!path.startsWith("/") && path !== "*") throw malformed("its target is not a path");
      // The Host header must name the host of the CONNECT request, because one address may serve several
      // hosts, and the secret is only for the host in CONNECT.
      const named = parseTarget(request.headers.host ?? "", 443);
      if (named.host !== target.host || named.port !== target.port) {
        throw malformed("its Host header names another server than CONNECT does");
      }
      const gone = closeSignal(response);
      const connect = async () => {
        const socket = await parts.dial(route, target, gone);
        // The socket to the server is closed when the script has disconnected, because a server may accept
        // the connection and never answer in TLS.
        const letGo = () => socket.destroy();
        if (gone.aborted) letGo();
        else gone.addEventListener("abort", letGo, { once: true });
        return await parts.encrypt(socket, target.host);
      };
      await forward(request, response, { route, target, path, secure: true, connect });
      parts.attempts.note(route, target, "allowed");
    } catch (error) {
      const refusal = asRefusal(error, target.host, target.port);
      parts.attempts.note(route, target, refusal.verdict, refusal.cause);
      refuseRequest(request, response, refusal);
    }
  };
  server.on("request", (request, response) => void serve(request, response));
  server.on("clientError", (_error, socket) => {
    if (!closeAfterOwedAnswers(socket)) socket.destroy();
  });

  return {
    async take(socket, route, target) {
      const secureContext = await (await parts.authority()).contextFor(target.host);
      const inner = new TLSSocket(socket, { isServer: true, secureContext, ALPNProtocols: ["http/1.1"] });
      inner.on("error", () => socket.destroy());
      inner.once("close", () => socket.destroy());
      contexts.set(inner, { route, target });
      server.emit("connection", inner);
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

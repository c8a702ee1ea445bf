import type { IncomingMessage, ServerResponse } from "node:http";
import { closeAfterOwedAnswers, hasBegunAnswer, owesAnswers } from "#common/http/owed-answers.ts";
import { awaitTurn } from "#common/http/pipelined-requests.ts";
import { asRefusal, malformed, Refusal } from "../policy/refusal.ts";
import type { Route } from "../routes/routes.ts";
import type { TunnelSocket } from "../tunnels/socket.ts";
import type { Attempts } from "./attempts.ts";
import { parseTarget } from "./authority-form.ts";
import { type Dial, refuseUnlisted, type Target } from "./destination.ts";
import { forward } from "./forward.ts";
import {
  closeSignal,
  createHttpEdge,
  refuseAmbiguous,
  refuseConnection,
  refuseRequest,
} from "./http-edge.ts";
import type { Intercept } from "./intercept.ts";
import { copyBothWays, expectServerName } from "./tls-passthrough.ts";

export type Proxy = {
  /** Serves a connection that a process of a run has opened. `route` is the network route of this run. */
  accept(socket: TunnelSocket, route: Route): void;
  /** Closes all connections. */
  close(): void;
};

/** Makes the forward proxy that scripts use: for plain requests with a full URL, and CONNECT for TLS. */
export function createProxy(parts: {
  readonly dial: Dial;
  readonly intercept: Intercept;
  readonly attempts: Attempts;
}): Proxy {
  const { dial, intercept, attempts } = parts;
  const server = createHttpEdge();
  const routes = new WeakMap<object, Route>();

  const routeOf = (request: IncomingMessage): Route => {
    const route = routes.get(request.socket);
    // The credentials must belong to the route of this connection. Where runs share a loopback address, a
    // script could connect to another run's proxy, but it does not have the other run's credentials.
    if (!route?.admits(request.headers["proxy-authorization"]))
      throw new Refusal(
        407,
        "unauthenticated",
        "Airlock does not know these credentials; use the proxy of HTTP_PROXY as it is given",
      );
    return route;
  };

  /**
   * Runs one attempt of a script to reach the network (`work`). When `work` fails, counts and logs the
   * attempt and answers the script with `refuse`; a success is counted by `work` itself.
   */
  const attempt = async (
    request: IncomingMessage,
    work: (route: Route, aim: (target: Target) => Target) => Promise<void>,
    refuse: (refusal: Refusal) => void,
  ) => {
    let route: Route | undefined;
    let target: Target | undefined;
    try {
      route = routeOf(request);
      refuseAmbiguous(request);
      await work(route, (aimed) => {
        target = aimed;
        return aimed;
      });
    } catch (error) {
      const refusal = asRefusal(error, target?.host ?? "", target?.port ?? 0);
      attempts.note(route, target, refusal.verdict, refusal.cause);
      refuse(refusal);
    }
  };

  const serveRequest = async (request: IncomingMessage, response: ServerResponse) => {
    if (!(await awaitTurn(request, response))) return;
    await attempt(
      request,
      async (route, aim) => {
        const { authority, path } = absoluteForm(request.url ?? "");
        const target = aim(parseTarget(authority, 80));
        const gone = closeSignal(response);
        const connect = () => dial(route, target, gone);
        await forward(request, response, { route, target, path, secure: false, connect });
        attempts.note(route, target, "allowed");
      },
      (refusal) => refuseRequest(request, response, refusal),
    );
  };

  const serveConnect = (request: IncomingMessage, socket: TunnelSocket, head: Buffer) => {
    socket.on("error", () => socket.destroy());
    const gone = closeSignal(socket);
    return attempt(
      request,
      async (route, aim) => {
        const target = aim(parseTarget(request.url ?? ""));
        // All ports of a host that gets a secret are intercepted, because the host may show on one port a
        // secret that was sent to another.
        const isRead = route.filters.has(target.host);
        if (isRead) refuseUnlisted(route, target);
        const upstream = isRead ? undefined : await dial(route, target, gone);
        try {
          socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
          if (head.length > 0) socket.unshift(head);
          await expectServerName(socket, target.host);
        } catch (error) {
          upstream?.destroy();
          socket.destroySoon();
          throw error;
        }
        if (!upstream) return await intercept.take(socket, route, target);
        attempts.note(route, target, "allowed");
        await copyBothWays(socket, upstream, route, target.host).catch((error: unknown) => {
          if (error instanceof Refusal) throw error;
          // The script or the server has closed the connection. Both notice that by themselves, so the error
          // is dropped.
        });
      },
      (refusal) => {
        if (refusal.verdict === "sni_refused" || refusal.verdict === "over_limit") socket.destroySoon();
        else refuseConnection(socket, refusal);
      },
    );
  };

  server.on("request", (request, response) => void serveRequest(request, response));
  server.on("connect", (request, socket, head) => {
    if (!owesAnswers(socket)) return void serveConnect(request, socket as TunnelSocket, head);
    // A CONNECT request is refused while an earlier request on the connection has no response yet, because
    // the script would take the response to CONNECT for that to the earlier request.
    attempts.note(routes.get(socket), undefined, "malformed");
    socket.destroy();
  });
  server.on("clientError", (_error, socket) => {
    attempts.note(undefined, undefined, "malformed");
    if (closeAfterOwedAnswers(socket)) return;
    if (hasBegunAnswer(socket)) socket.destroy();
    else refuseConnection(socket, malformed("it is not strict HTTP/1.1"));
  });
  return {
    accept(socket, route) {
      routes.set(socket, route);
      server.emit("connection", socket);
    },
    close() {
      server.closeAllConnections();
      server.close();
      intercept.close();
    },
  };
}

function absoluteForm(url: string): { authority: string; path: string } {
  const match = /^http:\/\/([^/?#]*)([^#]*)$/i.exec(url);
  if (!match) throw malformed("a proxy takes http:// URLs and CONNECT");
  const path = match[2] as string;
  return { authority: match[1] as string, path: path.startsWith("/") ? path : `/${path}` };
}

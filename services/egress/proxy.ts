import { chmod, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Attempts } from "./attempts.ts";
import { parseTarget } from "./authority-form.ts";
import { type Dial, refuseUnlisted, type Target } from "./destination.ts";
import { forward } from "./forward.ts";
import { HTTP_SERVER_OPTIONS, refuseConnection, refuseRequest } from "./http-edge.ts";
import type { Intercept } from "./intercept.ts";
import { asRefusal, malformed, Refusal } from "./refusal.ts";
import type { Route, Routes } from "./routes.ts";
import { carry, expectServerName } from "./tunnel.ts";

export type Proxy = {
  /** Where it listens: `unix:/path` or `host:port`. */
  readonly address: string;
  close(): Promise<void>;
};

/** The forward proxy that runs speak to: plain requests with a whole URL, and CONNECT for TLS. */
export async function startProxy(parts: {
  readonly listen: string;
  readonly routes: Routes;
  readonly dial: Dial;
  readonly intercept: Intercept;
  readonly attempts: Attempts;
}): Promise<Proxy> {
  const { routes, dial, intercept, attempts } = parts;
  const server = createServer(HTTP_SERVER_OPTIONS);

  const routeOf = (request: IncomingMessage): Route => {
    const route = routes.find(request.headers["proxy-authorization"]);
    if (!route)
      throw new Refusal(407, "unauthenticated", "Airlock does not know the credentials of this run");
    route.adopt(request.socket);
    return route;
  };

  /** Runs one attempt and notes how it went; `refuse` tells the script. */
  const attempt = async (
    request: IncomingMessage,
    work: (route: Route, aim: (target: Target) => Target) => Promise<void>,
    refuse: (refusal: Refusal) => void,
  ) => {
    let route: Route | undefined;
    let target: Target | undefined;
    try {
      route = routeOf(request);
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

  const serveRequest = (request: IncomingMessage, response: ServerResponse) =>
    attempt(
      request,
      async (route, aim) => {
        const { authority, path } = absoluteForm(request.url ?? "");
        const target = aim(parseTarget(authority, 80));
        const connect = () => dial(route, target);
        await forward(request, response, { route, target, path, secure: false, connect });
        attempts.note(route, target, "allowed");
      },
      (refusal) => refuseRequest(request, response, refusal),
    );

  const serveConnect = (request: IncomingMessage, socket: Socket, head: Buffer) => {
    socket.on("error", () => socket.destroy());
    return attempt(
      request,
      async (route, aim) => {
        const target = aim(parseTarget(request.url ?? ""));
        const brokered = route.placeholders.some(
          ({ host, port }) => host === target.host && port === target.port,
        );
        if (brokered) refuseUnlisted(route, target);
        const upstream = brokered ? undefined : await dial(route, target);
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
        await carry(socket, upstream, route).catch((error: unknown) => {
          if (error instanceof Refusal) throw error;
          // Either side broke off; both know it.
        });
      },
      (refusal) => {
        if (refusal.verdict === "sni_refused" || refusal.verdict === "over_limit") socket.destroySoon();
        else refuseConnection(socket, refusal);
      },
    );
  };

  server.on("request", (request, response) => void serveRequest(request, response));
  server.on("connect", (request, socket, head) => void serveConnect(request, socket as Socket, head));
  server.on("clientError", (_error, socket) => {
    attempts.note(undefined, undefined, "malformed");
    refuseConnection(socket, malformed("it is not strict HTTP/1.1"));
  });
  const address = await listen(server, parts.listen);
  return {
    address,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
        intercept.close();
      }),
  };
}

function absoluteForm(url: string): { authority: string; path: string } {
  const match = /^http:\/\/([^/?#]*)([^#]*)$/i.exec(url);
  if (!match) throw malformed("a proxy takes http:// URLs and CONNECT");
  const path = match[2] as string;
  return { authority: match[1] as string, path: path.startsWith("/") ? path : `/${path}` };
}

async function listen(server: ReturnType<typeof createServer>, address: string): Promise<string> {
  const path = address.startsWith("unix:") ? address.slice("unix:".length) : undefined;
  if (path !== undefined) await rm(path, { force: true });
  const colon = address.lastIndexOf(":");
  const place =
    path === undefined ? { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) } : { path };
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(place, () => {
      server.off("error", reject);
      resolve();
    });
  });
  if (path === undefined) return `${address.slice(0, colon)}:${(server.address() as AddressInfo).port}`;
  await chmod(path, 0o600);
  return address;
}

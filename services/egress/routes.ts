import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { BlockList, Socket } from "node:net";
import type { ProjectNetwork } from "../common/project-network.ts";
import type { NeedleSet } from "../common/redaction/needle-set.ts";
import { permittedAddresses } from "./address-policy.ts";
import type { Placeholder } from "./placeholders.ts";
import { Refusal } from "./refusal.ts";
import { Traffic } from "./traffic.ts";

/** One run's way to the network. */
export type Route = {
  readonly id: string;
  readonly project: string;
  readonly executionId: string;
  readonly network: ProjectNetwork;
  readonly permitted: BlockList;
  readonly placeholders: readonly Placeholder[];
  /** What must not come back from servers: the brokered values; undefined when there are none. */
  readonly needles: NeedleSet | undefined;
  readonly traffic: Traffic;
  /** Ends the connection with the route. Throws a Refusal when the run has too many. */
  adopt(socket: Socket): void;
};

export type NewRoute = Pick<Route, "project" | "executionId" | "network" | "placeholders" | "needles">;

/** The routes that are open. */
export type Routes = {
  open(route: NewRoute): { readonly route: Route; readonly password: string; close(): void };
  /** The route whose credentials these are (`Basic …`); undefined when there is none. */
  find(authorization: string | undefined): Route | undefined;
};

const MAX_CONNECTIONS = 256;

export function createRoutes(): Routes {
  const routes = new Map<string, { readonly route: Route; readonly digest: Buffer }>();
  return {
    open(parts) {
      const id = randomBytes(12).toString("hex");
      const password = randomBytes(24).toString("hex");
      const sockets = new Set<Socket>();
      const route: Route = {
        ...parts,
        id,
        permitted: permittedAddresses(parts.network.allowPrivate),
        traffic: new Traffic(parts.network.maxBytes),
        adopt(socket) {
          if (sockets.has(socket)) return;
          if (!routes.has(id)) throw new Refusal(403, "unauthenticated", "Airlock has closed this route");
          if (sockets.size >= MAX_CONNECTIONS) {
            throw new Refusal(
              503,
              "over_limit",
              `Airlock refused a connection: the run has ${MAX_CONNECTIONS} already`,
            );
          }
          sockets.add(socket);
          socket.once("close", () => sockets.delete(socket));
        },
      };
      routes.set(id, { route, digest: digestOf(password) });
      return {
        route,
        password,
        close() {
          routes.delete(id);
          for (const socket of sockets) socket.destroy();
        },
      };
    },
    find(authorization) {
      const encoded = /^basic ([A-Za-z0-9+/=]+)$/i.exec(authorization ?? "")?.[1];
      if (encoded === undefined) return undefined;
      const [id = "", password = ""] = Buffer.from(encoded, "base64").toString("latin1").split(":");
      const found = routes.get(id);
      return found && timingSafeEqual(found.digest, digestOf(password)) ? found.route : undefined;
    },
  };
}

function digestOf(password: string): Buffer {
  return createHash("sha256").update(password).digest();
}

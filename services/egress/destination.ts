import { lookup } from "node:dns/promises";
import { connect, isIP, type LookupFunction, type Socket } from "node:net";
import { allows } from "../common/project-network.ts";
import { refusedKind } from "./address-policy.ts";
import { notListed, Refusal } from "./refusal.ts";
import type { Route } from "./routes.ts";

export type Target = { readonly host: string; readonly port: number };
/** The addresses of a name. */
export type Resolve = (host: string) => Promise<readonly string[]>;
/** Connects to a target of a route, or rejects with a Refusal or the network's own error. */
export type Dial = (route: Route, target: Target) => Promise<Socket>;

const RESOLVE_TIMEOUT_MS = 10_000;
const CONNECT_TIMEOUT_MS = 10_000;
const IDLE_TIMEOUT_MS = 300_000;

/** As this machine resolves names, /etc/hosts included. */
export const systemResolve: Resolve = async (host) =>
  (await lookup(host, { all: true })).map(({ address }) => address);

/**
 * Dials what the route's allowlist names. A name is looked up once, only after the allowlist has let it pass, so that it
 * can carry nothing out; every address must be permitted, and exactly those are dialled.
 */
export function createDial(resolve: Resolve): Dial {
  return async (route, target) => {
    const { host, port } = target;
    refuseUnlisted(route, target);
    const addresses = isIP(host) === 0 ? await resolveInTime(resolve, host) : [host];
    if (addresses.length === 0) {
      throw new Refusal(502, "unreachable", `Airlock could not reach ${host}:${port} (no address)`);
    }
    for (const address of addresses) {
      const kind = refusedKind(address, route.permitted);
      if (kind === undefined) continue;
      throw new Refusal(
        403,
        "address_refused",
        `Airlock refused ${host}:${port}: its address is not public (${kind}) and not in allow_private of project ${route.project}`,
      );
    }
    return await open(host, port, addresses);
  };
}

/** Throws a Refusal unless the allowlist has the target. */
export function refuseUnlisted({ project, network }: Route, { host, port }: Target): void {
  if (!allows(network.allowlist, host, port)) throw notListed(project, network, host, port);
}

async function resolveInTime(resolve: Resolve, host: string): Promise<readonly string[]> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(timedOut("the name was not resolved")), RESOLVE_TIMEOUT_MS);
  return await Promise.race([resolve(host), late.promise]).finally(() => clearTimeout(timer));
}

function open(host: string, port: number, addresses: readonly string[]): Promise<Socket> {
  const found = addresses.map((address) => ({ address, family: isIP(address) }));
  // Node tries them one after the other; it never asks a resolver again.
  const known: LookupFunction = (_host, options, done) => {
    if (options.all) done(null, found);
    else done(null, found[0]?.address as string, found[0]?.family);
  };
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, lookup: known, autoSelectFamily: true, allowHalfOpen: true });
    const timer = setTimeout(() => socket.destroy(timedOut("no connection")), CONNECT_TIMEOUT_MS);
    socket.once("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    socket.once("connect", () => {
      clearTimeout(timer);
      socket.setNoDelay(true);
      socket.setTimeout(IDLE_TIMEOUT_MS, () => socket.destroy());
      // From here on whoever uses the socket listens too; one that breaks in between must not end the process.
      socket.on("error", () => undefined);
      resolve(socket);
    });
  });
}

function timedOut(what: string): Error {
  return Object.assign(new Error(what), { code: "ETIMEDOUT" });
}

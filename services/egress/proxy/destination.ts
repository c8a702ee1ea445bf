import { connect, isIP, type LookupFunction, type Socket } from "node:net";
import { allows } from "#common/projects/network.ts";
import { maxOpenFiles } from "#common/service/open-files.ts";
import { createFairLine, type FairLine } from "../names/fair-line.ts";
import { LOOKUP_LIMITS, type LookUp, WaitedTooLong } from "../names/lookups.ts";
import { refusedKind } from "../policy/address-policy.ts";
import type { IsOwn } from "../policy/own-addresses.ts";
import { notListed, Refusal } from "../policy/refusal.ts";
import type { Route } from "../routes/routes.ts";
import { ONE_PIECE } from "../short-pieces.ts";

export type Target = { readonly host: string; readonly port: number };
/**
 * Connects to a target that the route's allowlist permits. Rejects with a Refusal or with the network's own
 * error, and when `signal` aborts, because the script has closed its connection.
 */
export type Dial = (route: Route, target: Target, signal: AbortSignal) => Promise<Socket>;

const CONNECT_TIMEOUT_MS = 10_000;
/**
 * Milliseconds that a new connection waits when its run, its project or this service has as many connections
 * as allowed. When none has ended by then, the script gets a refusal.
 */
const WAIT_TIMEOUT_MS = 10_000;
/**
 * The share of all connections that one project may have, so that no project takes all connections from the
 * others.
 */
const PROJECTS_SHARE = 0.5;
const MAX_CONNECTIONS = 4_096;
/**
 * The most connections of a run to servers. A run may have the same number of connections to the proxy, and
 * each of those leads to one server at a time.
 */
const CONNECTIONS_PER_RUN = 256;
const IDLE_TIMEOUT_MS = 300_000;

/**
 * Makes a function that dials targets. A name is looked up only after the allowlist has permitted it, because
 * a DNS query for any name could transport data to the outside. The name is looked up once, every address is
 * checked, and exactly those addresses are dialled. `isOwn`: the addresses of Airlock itself, which are never
 * dialled.
 */
export function createDial(lookUp: LookUp, isOwn: IsOwn, connections = createConnectionLine()): Dial {
  return async (route, target, signal) => {
    const { host, port } = target;
    refuseUnlisted(route, target);
    const addresses = isIP(host) === 0 ? await addressesOf(lookUp, route, target, signal) : [host];
    if (addresses.length === 0) {
      throw new Refusal(502, "unreachable", `Airlock could not reach ${host}:${port} (no address)`);
    }
    for (const address of addresses) {
      if (isOwn(address, port)) {
        throw new Refusal(
          403,
          "address_refused",
          `Airlock refused ${host}:${port}: its address is one of Airlock's own, which no script may reach, whatever allow_private of its project has`,
        );
      }
      const kind = refusedKind(address, route.permitted);
      if (kind === undefined) continue;
      throw new Refusal(
        403,
        "address_refused",
        `Airlock refused ${host}:${port}: its address is not public (${kind}) and not in allow_private of project ${route.project}`,
      );
    }
    const gone = AbortSignal.any([signal, route.over]);
    const end = await turn(connections, route, target, gone);
    try {
      const socket = await open(target, addresses, gone);
      socket.once("close", end);
      return socket;
    } catch (error) {
      end();
      throw error;
    }
  };
}

/**
 * Makes the queue in which new connections to servers wait. The number of connections is limited to a quarter
 * of the files that this process may open, because other parts of the process need files, too.
 */
export function createConnectionLine(maxFiles = maxOpenFiles()): FairLine {
  const total = Math.min(MAX_CONNECTIONS, Math.floor(maxFiles / 4));
  return createFairLine({
    total,
    perProject: Math.max(1, Math.floor(total * PROJECTS_SHARE)),
    perRun: CONNECTIONS_PER_RUN,
  });
}

async function turn(
  connections: FairLine,
  route: Route,
  { host, port }: Target,
  gone: AbortSignal,
): Promise<() => void> {
  const late = AbortSignal.timeout(WAIT_TIMEOUT_MS);
  try {
    return await connections({ project: route.project, run: route }, AbortSignal.any([gone, late]));
  } catch (error) {
    if (gone.aborted) throw error;
    throw new Refusal(
      503,
      "over_limit",
      `Airlock did not connect to ${host}:${port}: the runs of the project have as many connections as they may have; close some, or try again later`,
    );
  }
}

/** Throws a Refusal unless the allowlist contains the target. */
export function refuseUnlisted({ project, network }: Route, { host, port }: Target): void {
  if (!allows(network.allowlist, host, port)) throw notListed(project, network, host, port);
}

async function addressesOf(
  lookUp: LookUp,
  route: Route,
  { host, port }: Target,
  signal: AbortSignal,
): Promise<readonly string[]> {
  return await lookUp(route, host, signal).catch((error: unknown) => {
    if (!(error instanceof WaitedTooLong)) throw error;
    throw new Refusal(
      502,
      "unreachable",
      `Airlock could not reach ${host}:${port}: ${LOOKUP_LIMITS.perRun} names of a run are looked up at a time, and earlier ones are not answered yet; look up fewer at once`,
    );
  });
}

function open({ host, port }: Target, addresses: readonly string[], signal: AbortSignal): Promise<Socket> {
  const found = addresses.map((address) => ({ address, family: isIP(address) }));
  // Node gets the checked addresses in place of a lookup. It tries them one after the other and never looks
  // the name up again.
  const known: LookupFunction = (_host, options, done) => {
    if (options.all) done(null, found);
    else done(null, found[0]?.address as string, found[0]?.family);
  };
  return new Promise((resolve, reject) => {
    // Node passes this high-water mark on to the socket's stream, although Node's types lack the option.
    const reads = { readableHighWaterMark: ONE_PIECE };
    const socket = connect({
      host,
      port,
      lookup: known,
      autoSelectFamily: true,
      allowHalfOpen: true,
      ...reads,
    });
    const timer = setTimeout(() => socket.destroy(timedOut("no connection")), CONNECT_TIMEOUT_MS);
    const giveUp = () => socket.destroy(signal.reason);
    const settle = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", giveUp);
    };
    if (signal.aborted) giveUp();
    else signal.addEventListener("abort", giveUp, { once: true });
    socket.once("error", (error) => {
      settle();
      reject(error);
    });
    socket.once("connect", () => {
      settle();
      socket.setNoDelay(true);
      socket.setTimeout(IDLE_TIMEOUT_MS, () => socket.destroy());
      // The caller of `open` adds its own error listener later. An error before that must not end the
      // process.
      socket.on("error", () => undefined);
      resolve(socket);
    });
  });
}

function timedOut(what: string): Error {
  return Object.assign(new Error(what), { code: "ETIMEDOUT" });
}

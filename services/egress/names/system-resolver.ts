import { Resolver } from "node:dns/promises";
import { type HostsFile, openHostsFile } from "./hosts-file.ts";
import type { Resolve } from "./resolve.ts";
import { readSearchList, type SearchList } from "./search-list.ts";

export type ResolverOptions = {
  /** DNS servers to ask, each `address` or `address:port`. Empty: the servers in resolv.conf. */
  readonly servers?: readonly string[];
  /** The path of the hosts file; undefined means /etc/hosts. */
  readonly hostsPath?: string;
  /** The path of resolv.conf, from which the search list is read; undefined means /etc/resolv.conf. */
  readonly resolvConfPath?: string;
};

// Milliseconds to wait for the second kind of address (IPv4 or IPv6) after the first has arrived. RFC 8305, section 3,
// recommends 50 ms for connections that race. Here all addresses are judged before one is dialled, so a slow DNS server
// gets more time.
const OTHER_KIND_MS = 300;
const LOOPBACK = ["127.0.0.1", "::1"];
const NO_SUCH_NAME = ["ENOTFOUND", "ENODATA"];

/**
 * Makes a function that resolves names as this machine does: from the hosts file first, then by DNS with the
 * search list of resolv.conf. getaddrinfo is not used, because Node runs only four calls of it at a time for
 * the whole process and cannot cancel them. Names that no DNS server answers would delay all other lookups,
 * also those for Airlock's own services.
 */
export function createSystemResolver(options: ResolverOptions = {}): Resolve {
  const { servers = [], hostsPath = "/etc/hosts", resolvConfPath = "/etc/resolv.conf" } = options;
  const hostsFile: HostsFile = openHostsFile(hostsPath);
  const searchList: SearchList = readSearchList(resolvConfPath);
  return async (host, signal) => {
    const listed = await hostsFile(host);
    if (listed.length > 0) return listed;
    // localhost is never looked up by DNS (RFC 6761).
    if (host === "localhost" || host.endsWith(".localhost")) return LOOPBACK;
    let missing: unknown;
    for (const name of await searchList(host)) {
      signal.throwIfAborted();
      try {
        return await askDns(name, servers, signal);
      } catch (error) {
        if (!saysNoSuchName(error)) throw error;
        missing = error;
      }
    }
    throw missing;
  };
}

/**
 * Asks DNS for both kinds of addresses, IPv4 first in the result. When one kind is missing or late, the
 * result has only the other kind. Rejects when there is no address.
 */
async function askDns(
  name: string,
  servers: readonly string[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  // Each name gets a resolver of its own, because `cancel` ends all queries of a resolver. A new resolver
  // also reads resolv.conf again, which may have changed.
  const resolver = new Resolver();
  if (servers.length > 0) resolver.setServers(servers);
  const cancel = () => resolver.cancel();
  signal.addEventListener("abort", cancel, { once: true });
  let timer: NodeJS.Timeout | undefined;
  const cancelSoon = (addresses: readonly string[]) => {
    timer ??= setTimeout(cancel, OTHER_KIND_MS);
    return addresses;
  };
  try {
    const [ipv4, ipv6] = await Promise.allSettled([
      resolver.resolve4(name).then(cancelSoon),
      resolver.resolve6(name).then(cancelSoon),
    ]);
    signal.throwIfAborted();
    const answers = [ipv4, ipv6];
    const found = answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
    if (found.length > 0) return found;
    // When one query failed and the other one was answered with "no such name", the failure is thrown,
    // because the name may exist after all.
    const reasons = answers.flatMap((answer) => (answer.status === "rejected" ? [answer.reason] : []));
    throw reasons.find((reason) => !saysNoSuchName(reason)) ?? reasons[0];
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", cancel);
  }
}

/** Whether a DNS server answered that the name does not exist. */
export function saysNoSuchName(error: unknown): boolean {
  return error instanceof Error && NO_SUCH_NAME.includes((error as NodeJS.ErrnoException).code ?? "");
}

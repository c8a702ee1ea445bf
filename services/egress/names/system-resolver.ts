import { Resolver } from "node:dns/promises";
import { type HostsFile, openHostsFile } from "./hosts-file.ts";
import type { Resolve } from "./resolve.ts";
import { readSearchList, type SearchList } from "./search-list.ts";

export type ResolverOptions = {
  /** `address` or `address:port` of the DNS servers to ask; empty: those of resolv.conf. */
  readonly servers?: readonly string[];
  readonly hostsPath?: string;
  readonly resolvConfPath?: string;
};

// When one of the two kinds of address is there, the other one may be this late (RFC 8305, section 3).
const OTHER_KIND_MS = 300;
const LOOPBACK = ["127.0.0.1", "::1"];
const NO_SUCH_NAME = ["ENOTFOUND", "ENODATA"];

/**
 * Resolves names as this machine does: the hosts file first, then DNS, with the search list of resolv.conf. Not by
 * getaddrinfo, of which Node runs four at a time for the whole process and cancels none: names that nobody answers
 * for would hold up all others, those of Airlock's own services included.
 */
export function createSystemResolver(options: ResolverOptions = {}): Resolve {
  const { servers = [], hostsPath = "/etc/hosts", resolvConfPath = "/etc/resolv.conf" } = options;
  const hostsFile: HostsFile = openHostsFile(hostsPath);
  const searchList: SearchList = readSearchList(resolvConfPath);
  return async (host, signal) => {
    const listed = await hostsFile(host);
    if (listed.length > 0) return listed;
    // RFC 6761: never a question for DNS.
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

/** IPv4 addresses first; what one kind lacks does not hide the other. */
async function askDns(
  name: string,
  servers: readonly string[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  // One for each name, because it cancels all its questions together. It reads resolv.conf, which may have changed.
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
    // That a name may exist counts more than that it lacks one kind of address.
    const reasons = answers.flatMap((answer) => (answer.status === "rejected" ? [answer.reason] : []));
    throw reasons.find((reason) => !saysNoSuchName(reason)) ?? reasons[0];
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", cancel);
  }
}

/** Whether the error says that the name does not exist, which an answer of DNS has said. */
export function saysNoSuchName(error: unknown): boolean {
  return error instanceof Error && NO_SUCH_NAME.includes((error as NodeJS.ErrnoException).code ?? "");
}

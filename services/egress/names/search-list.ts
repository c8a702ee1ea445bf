import { readFile } from "node:fs/promises";

/**
 * Resolves to the full names to look up for `host`, in order: the domains of resolv.conf's search list are
 * added to the host. A name with few dots is tried last without a domain, a name with many dots first.
 */
export type SearchList = (host: string) => Promise<readonly string[]>;

// The number of dots from which on a name is first tried unchanged, before the domains of the search list are
// added; the default of glibc.
const DEFAULT_NDOTS = 1;
const MAX_NDOTS = 15;
const MAX_DOMAINS = 6;

/** Reads the search list of resolv.conf(5), which Compose and Kubernetes need for the names of services. */
export function readSearchList(path: string): SearchList {
  return async (host) => {
    const { domains, ndots } = parse(await readFile(path, "utf8").catch(() => ""));
    const longer = domains.map((domain) => `${host}.${domain}`);
    return host.split(".").length > ndots ? [host, ...longer] : [...longer, host];
  };
}

/**
 * Reads the `search` or `domain` line and the option `ndots`. The last such line counts, as in
 * resolv.conf(5).
 */
function parse(text: string): { readonly domains: readonly string[]; readonly ndots: number } {
  let domains: readonly string[] = [];
  let ndots = DEFAULT_NDOTS;
  for (const line of text.split("\n")) {
    const [keyword, ...words] = line.trim().split(/\s+/);
    if (keyword === "search" || keyword === "domain") {
      domains = words
        .map((word) => word.toLowerCase().replace(/\.$/, ""))
        .filter((word) => word !== "")
        .slice(0, MAX_DOMAINS);
    } else if (keyword === "options") {
      for (const word of words) {
        const [, dots] = /^ndots:(\d+)$/.exec(word) ?? [];
        if (dots !== undefined) ndots = Math.min(Number(dots), MAX_NDOTS);
      }
    }
  }
  return { domains, ndots };
}

import { readFile, stat } from "node:fs/promises";
import { isIP } from "node:net";

/**
 * Looks a name up in this machine's hosts file. Resolves to its addresses in the order of the file; empty
 * when there are none.
 */
export type HostsFile = (host: string) => Promise<readonly string[]>;

const ADDRESS = /^[^%]+/;

/**
 * Opens a hosts file. The file is read again at a lookup when it has changed, and counts as empty while it
 * cannot be read.
 */
export function openHostsFile(path: string): HostsFile {
  let known = { version: "", addresses: new Map<string, string[]>() };
  return async (host) => {
    try {
      const { ino, size, mtimeMs } = await stat(path);
      const version = [ino, size, mtimeMs].join(" ");
      if (version !== known.version) known = { version, addresses: parse(await readFile(path, "utf8")) };
    } catch {
      return [];
    }
    return known.addresses.get(host) ?? [];
  };
}

function parse(text: string): Map<string, string[]> {
  const addresses = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const [address = "", ...names] = (line.split("#", 1)[0] ?? "").trim().split(/\s+/);
    if (isIP(ADDRESS.exec(address)?.[0] ?? "") === 0) continue;
    for (const name of names) {
      const host = name.toLowerCase().replace(/\.$/, "");
      const found = addresses.get(host) ?? [];
      if (!found.includes(address)) addresses.set(host, [...found, address]);
    }
  }
  return addresses;
}

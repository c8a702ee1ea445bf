import type { IncomingMessage } from "node:http";
import ipaddr from "ipaddr.js";
import { type IpAddress, type IpRange, isInRange, parseIpAddress } from "#common/ip-range.ts";

/**
 * The name under which the requests of a client's address are counted: its IPv4 address, or the first 64 bits of
 * its IPv6 address, because one client usually has all addresses of such a network. X-Forwarded-For counts
 * only as far as trusted proxies wrote it: the address that the first of them saw is the client's.
 */
export function clientNetwork(
  {
    socket,
    headers,
  }: Pick<IncomingMessage, "headers"> & { readonly socket: { readonly remoteAddress?: string | undefined } },
  trustedProxies: readonly IpRange[],
): string {
  let address = plain(parseIpAddress(socket.remoteAddress ?? ""));
  if (!address) return "unknown";
  const isTrusted = (each: IpAddress) => trustedProxies.some((range) => isInRange(each, range));
  if (isTrusted(address)) {
    const forwarded = [headers["x-forwarded-for"] ?? []].flat().join(",").split(",");
    for (const text of forwarded.reverse()) {
      const before = plain(parseIpAddress(withoutPort(text.trim())));
      // What stands further left is the word of a stranger.
      if (!before) break;
      address = before;
      if (!isTrusted(address)) break;
    }
  }
  return address instanceof ipaddr.IPv6
    ? `${ipaddr.IPv6.networkAddressFromCIDR(`${address}/64`)}/64`
    : address.toString();
}

/** An IPv4 address that is written as IPv6 (`::ffff:1.2.3.4`) as what it is. */
function plain(address: IpAddress | undefined): IpAddress | undefined {
  return address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() ? address.toIPv4Address() : address;
}

/** Some proxies write `1.2.3.4:5678` and `[2001:db8::1]:5678`. */
function withoutPort(text: string): string {
  return /^\[(.+)\](?::\d+)?$/.exec(text)?.[1] ?? /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(text)?.[1] ?? text;
}

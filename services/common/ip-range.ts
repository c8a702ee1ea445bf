import { isIP } from "node:net";
import ipaddr from "ipaddr.js";

export type IpAddress = ipaddr.IPv4 | ipaddr.IPv6;
/** The addresses that share their first `bits` bits with `first`; one address when these are all bits. */
export type IpRange = { readonly first: IpAddress; readonly bits: number };

/** What texts `parseIpRange` takes, in the words of an error. */
export const IP_RANGE_FORM =
  "an IP address or a CIDR range, such as 10.0.0.0/8 or fd00::/8 (an IPv4 address has four decimal numbers without leading zeros, and no address has a zone)";

const IPV4_BITS = 32;
const IPV6_BITS = 128;

/**
 * Parses an IP address, or a range in CIDR notation; undefined for any other text. Short and octal spellings
 * of IPv4 addresses are refused, because programs disagree about them: `10.5/16` would be 10.0.0.5/16.
 */
export function parseIpRange(text: string): IpRange | undefined {
  const [, address = "", prefix] = /^([^/]*)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text) ?? [];
  const first = parseIpAddress(address);
  if (!first || address.includes("%")) return undefined;
  const allBits = first.kind() === "ipv4" ? IPV4_BITS : IPV6_BITS;
  const bits = prefix === undefined ? allBits : Number(prefix);
  return bits <= allBits ? { first, bits } : undefined;
}

/** Whether the address is in the range. An IPv4 address is in no range of IPv6, and the reverse. */
export function isInRange(address: IpAddress, { first, bits }: IpRange): boolean {
  return address.kind() === first.kind() && address.match(first, bits);
}

/**
 * Parses an IP address without its zone (`%eth0`); undefined for any other text. IPv6 addresses go through
 * the URL parser first, because it reads `::1.2.3.4` as operating systems do.
 */
export function parseIpAddress(text: string): IpAddress | undefined {
  const [bare = ""] = text.split("%");
  if (isIP(bare) === 0) return undefined;
  return ipaddr.parse(isIP(bare) === 6 ? new URL(`http://[${bare}]/`).hostname.slice(1, -1) : bare);
}
